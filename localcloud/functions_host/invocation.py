"""One call of a function: its id, and what the app may ask about it."""

import threading
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path

import azure.functions as func


@dataclass(frozen=True, slots=True, kw_only=True)
class Invocation:
    """Names a call in the log: the function, the call's own id, and the orchestration instance if there is one."""

    id: str
    function_name: str
    instance_id: str = ""


current_invocation: ContextVar[Invocation | None] = ContextVar("current_invocation", default=None)
"""The call that the present thread or task is serving; the log reads it."""


class TraceContext(func._abc.TraceContext):  # the SDK exports no public name for it
    """W3C trace context of a call; this host does not trace, so it is empty."""

    @property
    def trace_state(self) -> str:
        return ""

    @property
    def trace_parent(self) -> str:
        return ""

    @property
    def attributes(self) -> dict[str, str]:
        return {}


class RetryContext(func._abc.RetryContext):  # the SDK exports no public name for it
    """A call's place among its retries; this host makes none."""

    @property
    def retry_count(self) -> int:
        return 0

    @property
    def max_retry_count(self) -> int:
        return 0

    @property
    def exception(self) -> func._abc.RpcException:
        raise AttributeError("there is no exception: this host makes no retries")


class InvocationContext(func.Context):
    """What a parameter named `context` receives."""

    def __init__(self, invocation: Invocation, directory: Path, storage: threading.local) -> None:
        self._invocation = invocation
        self._directory = directory
        self._storage = storage

    @property
    def invocation_id(self) -> str:
        return self._invocation.id

    @property
    def thread_local_storage(self) -> threading.local:  # type: ignore[override]  # the SDK says type, means instance
        return self._storage

    @property
    def function_name(self) -> str:
        return self._invocation.function_name

    @property
    def function_directory(self) -> str:
        return str(self._directory)

    @property
    def trace_context(self) -> func._abc.TraceContext:
        return TraceContext()

    @property
    def retry_context(self) -> func._abc.RetryContext:
        return RetryContext()
