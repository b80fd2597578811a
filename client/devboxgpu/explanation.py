"""Why a session waits, lives or stopped, as lines for a person."""

from __future__ import annotations

from collections.abc import Iterator

from devboxgpu.wire import Json, count_of, instant_of, items_of, number_of, text_of
from devboxgpu.wire_opening import Try
from devboxgpu.wording import estimate, failed_try, moment, ordinal, printable


def told(explained: Json) -> list[str]:
    """The summary, the reasons, the place in line, the deadlines, and what would change them."""
    session, state = text_of(explained, "session") or "", text_of(explained, "state") or "Unknown"
    return [
        printable(f"session {session} · {state}: {text_of(explained, 'summary') or 'the service does not say why'}"),
        *_listed("why", _reasons(explained)),
        *_listed("in line", _place(explained)),
        *_listed("tried without success", _tries(explained)),
        *_listed("stops", _deadlines(explained)),
        *_listed("what would change it", _changes(explained)),
    ]


def next_stop(session: str, extended: Json) -> str:
    """`session s-1 stops at 2026-11-21T23:00:00Z (MaxLifetime)`, of a session that was extended."""
    stops_at, reason = instant_of(extended, "stopsAt"), text_of(extended, "stopReason")
    if stops_at is None:
        return printable(f"session {session} was extended; when it stops is not known")
    return printable(f"session {session} stops at {moment(stops_at)}" + (f" ({reason})" if reason else ""))


def _listed(title: str, lines: Iterator[str]) -> list[str]:
    """The lines below their title; nothing where there are none."""
    found = [f"  {printable(line)}" for line in lines]
    return [f"{title}:", *found] if found else []


def _reasons(explained: Json) -> Iterator[str]:
    for reason in items_of(explained, "reasons"):
        code, message = text_of(reason, "code"), text_of(reason, "message")
        yield f"{message} ({code})" if message and code else message or code or ""


def _place(explained: Json) -> Iterator[str]:
    position, length = count_of(explained, "queuePosition"), count_of(explained, "queueLength")
    if position is None:
        return
    wait_s = number_of(explained, "expectedWaitSeconds")
    place = f"{ordinal(position)} of {length}" if length else ordinal(position)
    yield f"{place} · {'wait unknown' if wait_s is None else estimate(wait_s)}"


def _tries(explained: Json) -> Iterator[str]:
    for one in Try.read_all(explained):
        yield failed_try(one.region, one.gpu_type, one.code)


def _deadlines(explained: Json) -> Iterator[str]:
    """Every deadline that applies; the one that comes first is the stop."""
    deadlines = items_of(explained, "deadlines") or [
        {"at": explained.get("stopsAt"), "reason": explained.get("stopReason")}
    ]
    for deadline in deadlines:
        if at := instant_of(deadline, "at"):
            reason = text_of(deadline, "reason")
            yield f"{moment(at)} ({reason})" if reason else moment(at)


def _changes(explained: Json) -> Iterator[str]:
    for change in items_of(explained, "changes"):
        message, action = text_of(change, "message"), text_of(change, "action")
        yield f"{message}: {action}" if message and action else message or action or ""
