"""An app in miniature: orchestrators and activities in one process, called as the functions host calls them."""

import inspect
import json
import traceback
from collections.abc import Callable, Generator, Sequence
from typing import Any

import azure.durable_functions as df
from azure.functions import EntityContext, OrchestrationContext

from localcloud.durable.ports import FunctionFailed, FunctionKind

Story = Generator[Any, Any, Any]


class Program:
    """Functions by name; counts each call of an activity, and keeps what each orchestrator was sent."""

    def __init__(self) -> None:
        self._functions: dict[str, tuple[FunctionKind, str, Callable[..., Any]]] = {}
        self.calls: list[tuple[str, Any]] = []
        self.payloads: list[dict[str, Any]] = []

    def orchestrator(self, function: Callable[[Any], Any]) -> Callable[[Any], Any]:
        self._functions[function.__name__.lower()] = ("orchestration", function.__name__, function)
        return function

    def activity(self, function: Callable[[Any], Any]) -> Callable[[Any], Any]:
        self._functions[function.__name__.lower()] = ("activity", function.__name__, function)
        return function

    def entity(self, function: Callable[[Any], Any]) -> Callable[[Any], Any]:
        self._functions[function.__name__.lower()] = ("entity", function.__name__, function)
        return function

    # -- the engine's port --------------------------------------------------------------------------------------
    def kind_of(self, name: str) -> FunctionKind | None:
        found = self._functions.get(name.lower())
        return found[0] if found else None

    def registered_name(self, name: str) -> str:
        return self._functions[name.lower()][1]

    def names_of(self, kind: str) -> Sequence[str]:
        return [name for known, name, _ in self._functions.values() if known == kind]

    async def call_orchestrator(self, name: str, payload: str) -> str:
        self.payloads.append(json.loads(payload))
        handle = df.Orchestrator.create(self._functions[name.lower()][2])
        return str(_call(lambda: handle(OrchestrationContext(payload))))

    async def call_entity(self, name: str, payload: str) -> str:
        handle = df.Entity.create(self._functions[name.lower()][2])
        return str(_call(lambda: handle(EntityContext(payload))))

    async def call_activity(self, name: str, input_text: str | None, instance_id: str) -> str | None:
        value = None if input_text is None else json.loads(input_text)
        _, registered, function = self._functions[name.lower()]
        self.calls.append((registered, value))
        if inspect.iscoroutinefunction(function):
            try:
                return json.dumps(await function(value))
            except Exception as error:
                raise _failed(error) from error
        return json.dumps(_call(lambda: function(value)))


def _call(function: Callable[[], Any]) -> Any:
    try:
        return function()
    except Exception as error:
        raise _failed(error) from error


def _failed(error: Exception) -> FunctionFailed:
    kind, stack = type(error).__name__, "".join(traceback.format_tb(error.__traceback__))
    text = f"Result: Failure\nException: {kind}: {error}\nStack: {stack}"
    return FunctionFailed(text, exception_type=kind, message=str(error), stack=stack)
