"""What the host knows of each function of the app."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from localcloud.functions_host.signatures import CallPlan


class BindingType(StrEnum):
    """The bindings that this host serves."""

    HTTP_TRIGGER = "httpTrigger"
    HTTP_ANSWER = "http"
    TIMER_TRIGGER = "timerTrigger"
    EVENT_GRID_TRIGGER = "eventGridTrigger"
    ORCHESTRATION_TRIGGER = "orchestrationTrigger"
    ACTIVITY_TRIGGER = "activityTrigger"
    ENTITY_TRIGGER = "entityTrigger"
    DURABLE_CLIENT = "durableClient"


DURABLE_NAME_SETTING: Mapping[str, str] = {
    BindingType.ORCHESTRATION_TRIGGER: "orchestration",
    BindingType.ACTIVITY_TRIGGER: "activity",
    BindingType.ENTITY_TRIGGER: "entityName",
}
"""The setting by which a durable trigger may give its function another name than the function's own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Binding:
    """One binding as the app declared it, with %SETTING% replaced; `settings` holds all of it, name and type too."""

    name: str
    type: str
    is_output: bool
    settings: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class AppFunction:
    """A function that can be called; `trouble` says why it may not, and is empty for a good one."""

    name: str
    trigger: Binding
    bindings: tuple[Binding, ...]
    body: Callable[..., Any]
    plan: CallPlan
    is_disabled: bool = False
    trouble: str = ""

    @property
    def is_available(self) -> bool:
        """Whether its trigger may call it."""
        return not self.trouble and not self.is_disabled

    @property
    def durable_name(self) -> str:
        """The name by which orchestrations and clients call it."""
        setting = DURABLE_NAME_SETTING.get(self.trigger.type, "")
        return str(self.trigger.settings.get(setting) or self.name)


class FunctionTable:
    """The functions of the app, by name, in the order of their registration."""

    def __init__(self, functions: Iterable[AppFunction] = ()) -> None:
        self._by_name = {function.name: function for function in functions}
        self._by_folded_name = {name.lower(): function for name, function in self._by_name.items()}

    def __iter__(self) -> Iterator[AppFunction]:
        return iter(self._by_name.values())

    def __len__(self) -> int:
        return len(self._by_name)

    def named(self, name: str) -> AppFunction | None:
        """The function of exactly this name."""
        return self._by_name.get(name)

    def named_in_any_case(self, name: str) -> AppFunction | None:
        return self._by_folded_name.get(name.lower())

    def triggered_by(self, trigger_type: BindingType) -> list[AppFunction]:
        """All functions of a trigger type, the unavailable ones too."""
        return [function for function in self if function.trigger.type == trigger_type]

    def uses(self, *binding_types: BindingType) -> bool:
        """Whether any function has a binding of one of these types."""
        return any(binding.type in binding_types for function in self for binding in function.bindings)
