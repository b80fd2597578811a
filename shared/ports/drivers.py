"""The drivers of sessions: durable orchestrations, through the one module that knows the client's traps (P17, P22)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import Any, Protocol

from opentelemetry.context import attach, detach
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, set_span_in_context

from shared.domain.driving import Drive
from shared.domain.names import instance_id, sweep_instance
from shared.domain.steps import DRIVE_SESSION, RUN_SWEEP
from shared.domain.tracing import read_trace


class DriverUnknown(Exception):
    """The engine could not be asked: nothing follows for the driver."""


class DriverState(StrEnum):
    MISSING = "missing"
    ALIVE = "alive"
    OVER = "over"


class Drivers(Protocol):
    """What the control plane needs of the engine."""

    async def start(self, drive: Drive) -> None:
        """Start the driver of an epoch. A second start while it runs changes nothing. Raise DriverUnknown."""

    async def wake(self, drive: Drive, wait: str) -> bool:
        """Raise the wait's event. False: there is no such driver any more; True proves nothing. Raise DriverUnknown."""

    async def state(self, drive: Drive) -> DriverState:
        """Return whether the driver of this epoch lives. Raise DriverUnknown."""

    async def start_sweep(self, slot: int) -> None:
        """Start the sweep of a slot. A second start while it runs changes nothing. Raise DriverUnknown."""


class DurableDrivers:
    """Drivers on Durable Functions 1.x, over the durable client that the host binds to a function."""

    def __init__(self, client: Any) -> None:
        self._client = client

    async def start(self, drive: Drive) -> None:
        with in_trace(drive.trace):
            await self._start(DRIVE_SESSION, instance_id(drive.session, drive.epoch), drive.to_wire())

    async def start_sweep(self, slot: int) -> None:
        await self._start(RUN_SWEEP, sweep_instance(slot), {"slot": slot})

    async def _start(self, story: str, instance: str, wire: dict[str, Any]) -> None:
        try:
            await self._client.start_new(story, instance_id=instance, client_input=wire)
        except Exception as error:  # the client raises bare Exceptions; "exists" is what a second start wants
            if "already exists" not in str(error):
                raise DriverUnknown(f"start: {error}") from error

    async def wake(self, drive: Drive, wait: str) -> bool:
        instance = instance_id(drive.session, drive.epoch)
        try:
            await self._client.raise_event(instance, wait, None)
        except Exception as error:  # the client raises bare Exceptions whose text tells 404 and 410 apart from trouble
            if _says_no_such_instance(str(error)):
                return False
            raise DriverUnknown(f"raise: {error}") from error
        return True

    async def state(self, drive: Drive) -> DriverState:
        try:
            status = await self._client.get_status(instance_id(drive.session, drive.epoch))
        except Exception as error:  # the client raises bare Exceptions; just after a restart the engine may fail
            raise DriverUnknown(f"status: {error}") from error
        if not status:
            if getattr(status, "Message", None) or getattr(status, "ExceptionMessage", None):
                raise DriverUnknown("status: the engine answered with an error")
            return DriverState.MISSING
        name = getattr(status.runtime_status, "name", str(status.runtime_status))
        return DriverState.OVER if name in ("Completed", "Failed", "Canceled", "Terminated") else DriverState.ALIVE


@contextmanager
def in_trace(traceparent: str | None) -> Iterator[None]:
    """Let the SDK see this span as the present one: it tells the host, whose own tracing then goes on in the trace."""
    trace = read_trace(traceparent)
    if trace is None:
        yield
        return
    flags = TraceFlags(TraceFlags.SAMPLED if trace.sampled else TraceFlags.DEFAULT)
    span = SpanContext(int(trace.trace_id, 16), int(trace.span_id, 16), is_remote=True, trace_flags=flags)
    token = attach(set_span_in_context(NonRecordingSpan(span)))
    try:
        yield
    finally:
        detach(token)


def _says_no_such_instance(text: str) -> bool:
    """Recognise the SDK's words for 404 and 410 (it turns both into bare exceptions)."""
    return "No instance with ID" in text or "is gone: either completed or failed" in text
