"""What the engine needs of the world: functions to call, and a clock."""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal, Protocol, runtime_checkable

FunctionKind = Literal["orchestration", "activity", "entity"]


class FunctionFailed(Exception):
    r"""A function raised, or its worker was lost: the worker's RPC failure, as the vendor's host words it.

    `text` reads "Result: Failure\nException: <Type>: <message>\nStack: <Python traceback>".
    """

    def __init__(self, text: str, *, exception_type: str, message: str, stack: str) -> None:
        super().__init__(text)
        self.text = text
        self.exception_type = exception_type
        self.message = message
        self.stack = stack


class FunctionCaller(Protocol):
    """The functions host, as the engine sees it. Function names ignore case."""

    def kind_of(self, name: str) -> FunctionKind | None:
        """What kind of durable function has this name; None where there is none."""
        ...

    def registered_name(self, name: str) -> str:
        """The name as the app registered it."""
        ...

    async def call_orchestrator(self, name: str, payload: str) -> str:
        """Hand the trigger's JSON text to the SDK and return the SDK's JSON text; raises FunctionFailed."""
        ...

    async def call_entity(self, name: str, payload: str) -> str:
        """The same for a batch of entity operations."""
        ...

    async def call_activity(self, name: str, input_text: str | None, instance_id: str) -> str | None:
        """Run an activity with a JSON text and return its result's JSON text; raises FunctionFailed."""
        ...


@runtime_checkable
class KnowsFunctions(Protocol):
    """A caller that can list its functions, which the vendor's error texts do."""

    def names_of(self, kind: str) -> Sequence[str]:
        """The registered names of one kind ("orchestration", "activity", "entity")."""
        ...


class Clock(Protocol):
    """Time as the engine sees it, so that tests can run days in milliseconds."""

    def now(self) -> datetime:
        """The time now, aware and in UTC."""
        ...

    async def sleep_until(self, when: datetime) -> None:
        """Return when the clock has reached `when`, or at once if it has."""
        ...
