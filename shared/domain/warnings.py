"""What the person at a shell is told before a session is stopped: when, why, and what to do about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from shared.domain.lease import Deadline
from shared.domain.names import SessionId
from shared.domain.states import EndReason


@dataclass(frozen=True, slots=True, kw_only=True)
class Warning:
    """The same warning has the same words at every renewal, so that a client tells it once."""

    kind: str
    message: str
    at: datetime


KINDS = {
    EndReason.IDLE: "Idle",
    EndReason.MAX_LIFETIME: "MaxLifetime",
    EndReason.BUDGET_EXHAUSTED: "BudgetExhausted",
    EndReason.PROJECT_DISABLED: "ProjectDisabled",
}
_WHY = {
    EndReason.IDLE: "nothing was typed, printed or computed",
    EndReason.MAX_LIFETIME: "it reaches the longest life that its project allows",
    EndReason.BUDGET_EXHAUSTED: "the project's budget of this month is used up",
    EndReason.PROJECT_DISABLED: "GPU sessions were disabled for this project",
}
ALWAYS_TOLD = frozenset({EndReason.PROJECT_DISABLED, EndReason.BUDGET_EXHAUSTED})
"""Stops that were ordered: whoever is there is told at once, whatever the policy's minutes are."""


def warning_of(
    stop: Deadline, minutes: Sequence[float], session: SessionId, now: datetime, *, extendable: bool
) -> Warning | None:
    """Return the warning that is due before this stop, None where it is still too early for one.

    `minutes` are the policy's (idle.warnMinutes): the smallest one that has been reached names itself. `extendable`:
    whether the lifetime may still be lengthened.
    """
    left = stop.at - now
    reached = [one for one in minutes if left <= timedelta(minutes=one)]
    if not reached and stop.reason not in ALWAYS_TOLD:
        return None
    within = f"within {min(reached):g} min" if reached else "soon"
    what_to_do = _what_to_do(stop.reason, session, extendable=extendable)
    message = f"This session stops {within}, at {stop.at:%H:%M} UTC: {_WHY[stop.reason]}. {what_to_do}"
    return Warning(kind=KINDS[stop.reason], message=message, at=stop.at)


def _what_to_do(reason: EndReason, session: SessionId, *, extendable: bool) -> str:
    if reason is EndReason.IDLE:
        return f"Any key keeps it; Enter ~e keeps it for longer, or: devboxgpu sessions extend {session} --minutes 60"
    if reason is EndReason.MAX_LIFETIME and extendable:
        return f"Save your work; Enter ~e extends it, or: devboxgpu sessions extend {session} --minutes 60"
    if reason is EndReason.BUDGET_EXHAUSTED:
        return "Save your work, or ask a project administrator for more."
    return "Save your work."


def next_warning_at(stop: Deadline, minutes: Sequence[float], now: datetime) -> datetime | None:
    """Return when the next warning before this stop becomes due, None where none will."""
    ahead = [at for one in minutes if (at := stop.at - timedelta(minutes=one)) > now]
    return min(ahead, default=None)
