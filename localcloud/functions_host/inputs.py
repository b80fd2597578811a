"""The values of a function's input bindings for one call."""

from azure.functions.meta import Datum

from localcloud.functions_host.functions import AppFunction, BindingType


def gather_inputs(function: AppFunction, trigger_value: Datum, client_binding: str) -> dict[str, Datum]:
    """The trigger's value under its binding's name, and the durable client's text under each client binding's."""
    inputs = {function.trigger.name: trigger_value}
    for binding in function.bindings:
        if binding.type == BindingType.DURABLE_CLIENT:
            inputs[binding.name] = Datum(client_binding, "string")
    return inputs
