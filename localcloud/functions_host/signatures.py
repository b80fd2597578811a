"""How a function wants to be called: its parameters against its bindings, checked once, at load.

The rules are those of the vendor's Python worker (reference/functions-host.md 4.2).
"""

import inspect
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import azure.functions as func
from azure.functions import meta

_CONTEXT = "context"
_RETURN = "$return"
_REGISTRY: Any = meta.get_binding_registry()  # type: ignore[no-untyped-call]  # the SDK leaves it untyped


class FunctionLoadError(ValueError):
    """A function cannot be called as it is declared; the text says what to change."""


class DeclaredBinding(typing.Protocol):
    """As much of a binding as a signature is checked against."""

    @property
    def name(self) -> str: ...
    @property
    def type(self) -> str: ...
    @property
    def is_output(self) -> bool: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class CallPlan:
    """How to make a call: a converter for each input and output by parameter name, and one for what it returns."""

    inputs: Mapping[str, Any]
    outputs: Mapping[str, Any]
    return_converter: Any | None
    return_type: type | None
    takes_context: bool
    is_async: bool


UNCALLABLE = CallPlan(
    inputs={}, outputs={}, return_converter=None, return_type=None, takes_context=False, is_async=False
)
"""The plan of a function whose bindings this host does not serve."""


def plan_call(
    name: str, body: Callable[..., Any], bindings: typing.Sequence[DeclaredBinding], trigger_type: str
) -> CallPlan:
    """Hold the parameters of `body` against its bindings; raises FunctionLoadError on the first disagreement."""
    parameters = inspect.signature(body).parameters
    annotations = _annotations(name, body)
    by_name = {binding.name: binding for binding in bindings if binding.name != _RETURN}
    takes_context = _CONTEXT in parameters and _CONTEXT not in by_name
    _check_names(name, set(by_name), set(parameters) - ({_CONTEXT} if takes_context else set()))
    if takes_context and annotations.get(_CONTEXT, func.Context) is not func.Context:
        raise FunctionLoadError(
            f"function '{name}': its parameter context is annotated as {annotations[_CONTEXT]!r}; "
            "annotate it as azure.functions.Context, or leave the annotation out"
        )
    for binding in by_name.values():
        _check_annotation(name, binding, annotations.get(binding.name))
    return_binding = next((binding for binding in bindings if binding.name == _RETURN), None)
    return CallPlan(
        inputs={n: converter_for(b.type) for n, b in by_name.items() if not b.is_output},
        outputs={n: converter_for(b.type) for n, b in by_name.items() if b.is_output},
        return_converter=_return_converter(return_binding, trigger_type),
        return_type=_return_type(name, return_binding, annotations.get("return")),
        takes_context=takes_context,
        is_async=inspect.iscoroutinefunction(body),
    )


def converter_for(binding_type: str) -> Any:
    """The SDK's own converter for a binding type; raises FunctionLoadError where it has none."""
    converter = _REGISTRY.get(binding_type)
    if converter is None:
        raise FunctionLoadError(f"azure.functions has no converter for a binding of type '{binding_type}'")
    return converter


def _annotations(name: str, body: Callable[..., Any]) -> dict[str, Any]:
    try:
        return typing.get_type_hints(body)
    except Exception as error:  # whatever an annotation, which is the app's own code, may raise
        raise FunctionLoadError(
            f"function '{name}': its annotations cannot be read: {type(error).__name__}: {error}"
        ) from error


def _check_names(name: str, bound: set[str], parameters: set[str]) -> None:
    if without_parameter := sorted(bound - parameters):
        raise FunctionLoadError(
            f"function '{name}' has bindings without a parameter of the same name: {', '.join(without_parameter)}; "
            "a binding's arg_name must be a parameter's name"
        )
    if without_binding := sorted(parameters - bound):
        raise FunctionLoadError(
            f"function '{name}' has parameters without a binding of the same name: {', '.join(without_binding)}; "
            "give each a binding, or take it out"
        )


def _check_annotation(name: str, binding: DeclaredBinding, annotation: Any) -> None:
    if annotation is None:
        return
    is_out = typing.get_origin(annotation) is func.Out or annotation is func.Out
    if is_out != binding.is_output:
        wanted = "azure.functions.Out" if binding.is_output else "a type that is not azure.functions.Out"
        raise FunctionLoadError(f"function '{name}': annotate {binding.name} with {wanted}; it is {annotation!r}")
    if is_out:
        inner = typing.get_args(annotation)
        accepts = not inner or _accepts(converter_for(binding.type).check_output_type_annotation, inner[0])
    else:
        accepts = _accepts(converter_for(binding.type).check_input_type_annotation, annotation)
    if not accepts:
        raise FunctionLoadError(
            f"function '{name}': the {binding.type} binding {binding.name} cannot be a {annotation!r}; "
            "change the annotation, or leave it out"
        )


def _accepts(check: Callable[[Any], bool], annotation: Any) -> bool:
    try:
        return bool(check(annotation))
    except TypeError:  # the converters ask issubclass, which refuses what is not a plain class
        return False


def _return_converter(return_binding: DeclaredBinding | None, trigger_type: str) -> Any | None:
    if return_binding is not None:
        return converter_for(return_binding.type)
    trigger = converter_for(trigger_type)
    return trigger if trigger.has_implicit_output() else None


def _return_type(name: str, return_binding: DeclaredBinding | None, annotation: Any) -> type | None:
    if return_binding is None or annotation is None:
        return annotation if isinstance(annotation, type) else None
    if not isinstance(annotation, type) or not _accepts(
        converter_for(return_binding.type).check_output_type_annotation, annotation
    ):
        raise FunctionLoadError(
            f"function '{name}': a {return_binding.type} binding cannot answer with {annotation!r}; "
            "annotate the return with a type that it can take, or leave it out"
        )
    return annotation
