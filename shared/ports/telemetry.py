"""Telemetry: spans and measures as values, handed to whoever exports them; the caller never waits for it.

Nothing here imports OpenTelemetry's SDK or an exporter: that is `otel.py`'s, in a thread of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from shared.domain.measures import Measure
from shared.domain.tracing import Trace
from shared.ports import ids
from shared.ports.clock import utc_now


class Exporter(StrEnum):
    """Where telemetry goes: the values of the setting DEVBOXGPU_TELEMETRY."""

    NONE = "none"
    CONSOLE = "console"
    AZURE_MONITOR = "azureMonitor"


class SpanKind(StrEnum):
    SERVER = "server"
    INTERNAL = "internal"


Words = Mapping[str, str | int | float | bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A piece of work that is over. `fault` says why it failed: a kind or a code, never a text from outside."""

    name: str
    trace: Trace
    parent_id: str | None
    began_at: datetime
    ended_at: datetime
    kind: SpanKind = SpanKind.INTERNAL
    words: Words = field(default_factory=dict)
    fault: str | None = None


class Telemetry(Protocol):
    """Whoever takes telemetry. Neither call waits, fails, or changes what is done."""

    def span(self, span: Span) -> None: ...

    def measure(self, measures: Iterable[Measure]) -> None: ...


class NoTelemetry:
    """No exporter is set: nothing is kept, and measures are not even worked out."""

    def span(self, span: Span) -> None:
        """Let it go."""

    def measure(self, measures: Iterable[Measure]) -> None:
        """Let them go."""


_current: ContextVar[Trace | None] = ContextVar("devboxgpu_trace", default=None)


def current_trace() -> Trace | None:
    """Return the span that this work is part of, None where it is part of none."""
    return _current.get()


@dataclass(slots=True)
class Working:
    """A span under way: what is told of it grows while the work is done."""

    trace: Trace
    words: dict[str, str | int | float | bool]
    fault: str | None = None


def child_of(parent: Trace | None) -> Trace:
    """Return a new span below this one, or the root of a new trace where there is none."""
    if parent is None:
        return Trace(ids.new_trace_id(), ids.new_span_id())
    return Trace(parent.trace_id, ids.new_span_id(), parent.sampled)


@contextmanager
def spanned(
    telemetry: Telemetry,
    name: str,
    parent: Trace | None,
    *,
    kind: SpanKind = SpanKind.INTERNAL,
    words: Words | None = None,
    now: Callable[[], datetime] = utc_now,
) -> Iterator[Working]:
    """Do work as a span below `parent`, which is told of when the work is over, however it ends."""
    working = Working(child_of(parent), dict(words or {}))
    began_at, token = now(), _current.set(working.trace)
    try:
        yield working
    except BaseException as error:
        working.fault = type(error).__name__  # its text may hold what is none of an exporter's business
        raise
    finally:
        _current.reset(token)
        if working.trace.sampled:
            telemetry.span(
                Span(
                    name=name,
                    trace=working.trace,
                    parent_id=parent.span_id if parent else None,
                    began_at=began_at,
                    ended_at=now(),
                    kind=kind,
                    words=working.words,
                    fault=working.fault,
                )
            )
