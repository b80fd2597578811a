"""Where a piece of work stands in a trace (W3C Trace Context), and which place in it a driver or a sweep has.

A context arrives in a request's `traceparent`, is kept in the session's row and travels in the orders of its steps.
What an orchestration's span is called follows from the orchestration's own name, so that replay, a repeated step and a
successor all mean the same span: nothing is drawn at random and no clock is read here.
"""

from __future__ import annotations

import re
from hashlib import sha256

import msgspec

from shared.domain.names import SessionId, instance_id, sweep_instance

_TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?", re.DOTALL)
_SAMPLED = 1


class Trace(msgspec.Struct, frozen=True):
    """A span of a trace. `sampled`: whoever began the trace wants it recorded."""

    trace_id: str  # 32 of 0-9 and a-f, not all 0
    span_id: str  # 16 of 0-9 and a-f, not all 0
    sampled: bool = True

    def __str__(self) -> str:
        return f"00-{self.trace_id}-{self.span_id}-{'01' if self.sampled else '00'}"


def read_trace(traceparent: str | None) -> Trace | None:
    """Return the span that a `traceparent` names; None where it names none, which is no reason to refuse anything."""
    found = _TRACEPARENT.fullmatch(traceparent or "")
    if found is None:
        return None
    trace_id, span_id, flags, more = found.groups()
    is_first_version = (traceparent or "").startswith("00")
    if int(trace_id, 16) == 0 or int(span_id, 16) == 0 or (more and is_first_version):
        return None
    return Trace(trace_id, span_id, bool(int(flags, 16) & _SAMPLED))


def driver_trace(traceparent: str | None, session: SessionId, epoch: int) -> Trace | None:
    """Return the span of a session's driver of this epoch, in the trace of the request that opened the session."""
    opened_in = read_trace(traceparent)
    if opened_in is None:
        return None
    return Trace(opened_in.trace_id, _id_of(f"{opened_in.trace_id}/{instance_id(session, epoch)}"), opened_in.sampled)


def sweep_trace(slot: int) -> Trace:
    """Return the span of a slot's sweep: the root of a trace of its own."""
    name = sweep_instance(slot)
    return Trace(sha256(name.encode()).hexdigest()[:32], _id_of(name))


def _id_of(name: str) -> str:
    return sha256(f"span of {name}".encode()).hexdigest()[:16]
