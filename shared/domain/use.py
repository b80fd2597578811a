"""How a session was used once it had its GPU, as far as that is recorded; and when that would have ended otherwise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from shared.domain.lease import HoldFacts, ShellFacts, deadline
from shared.domain.quiet import Spell
from shared.domain.records import SessionRow
from shared.domain.settings import GpuSettings
from shared.domain.states import EndReason

BY_RULE = frozenset({EndReason.IDLE, EndReason.MAX_LIFETIME})
"""Ends that settings bring about, so that other settings move them."""
CUT_SHORT = frozenset(
    {
        EndReason.LEASE_LAPSED,
        EndReason.MAX_LIFETIME,
        EndReason.STOPPED_BY_ADMINISTRATOR,
        EndReason.PROJECT_DISABLED,
        EndReason.BUDGET_EXHAUSTED,
        EndReason.APP_LOST,
    }
)
"""Ends that say only that the session was wanted at least so long."""


class Doubt(StrEnum):
    """Why a replayed session's length is not known exactly.

    It lasts at least, or at most, so long; whether it would have been idle before is not recorded; it never had a GPU
    and is assumed to be used as the median is; or nothing is known to assume.
    """

    AT_LEAST = "atLeast"
    AT_MOST = "atMost"
    IDLE_UNKNOWN = "idleUnknown"
    ASSUMED = "assumed"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """How a session went once it had its place. `replica_s`, `ready_s`: seconds from there to a replica, to running.

    Seconds from running: `active_s` to the last activity, `leaves_s` until it stopped otherwise than idle (None: idle,
    or lapsed), `lapses_s` until its last lease ran out, `kept_s` until which somebody had it kept, `busy_s` until the
    lease ran out with which it was last said to be busy. `clears_s`: from its end until its place was free; of one that
    never ran, all the time that it had the place.
    """

    clears_s: float
    replica_s: float | None = None
    ready_s: float | None = None
    active_s: float = 0.0
    leaves_s: float | None = None
    ended_as: EndReason | None = None
    lapses_s: float | None = None
    kept_s: float | None = None
    busy_s: float | None = None
    extended_s: float = 0.0
    idle_limit_s: float = 0.0
    quiet: Sequence[Spell] = ()
    quiet_at_most_s: float | None = None

    @property
    def leaves_as(self) -> EndReason | None:
        """Why it ended where no rule ends it earlier; None where what ended it was a rule, or it lives."""
        return None if self.ended_as in BY_RULE else self.ended_as


def use_of(row: SessionRow, until: datetime) -> Use | None:
    """Return how the session was used, as far as that is recorded: one that lives counts as used until now."""
    place = row.held_from
    if place is None:
        return None
    over_at = row.ended_at or until
    if row.running_at is None:
        return Use(
            clears_s=(over_at - place).total_seconds(),
            replica_s=seconds_between(place, row.replica_started_at),
            ended_as=row.end_reason,
        )
    began = row.running_at
    stopped_at = row.stopping_at or until
    seen_at = row.active_at if row.stopping_at is not None else None
    active_at = seen_at or _last_active(row, stopped_at)
    ended_at = _ended_by_rule(row, active_at, stopped_at)
    lapsed = row.end_reason is EndReason.LEASE_LAPSED
    return Use(
        clears_s=max(0.0, (over_at - ended_at).total_seconds()),
        replica_s=seconds_between(place, row.replica_started_at),
        ready_s=(began - place).total_seconds(),
        active_s=(active_at - began).total_seconds(),
        leaves_s=None if row.end_reason is EndReason.IDLE or lapsed else (stopped_at - began).total_seconds(),
        ended_as=row.end_reason,
        lapses_s=(stopped_at - began).total_seconds() - row.lease_grace_s if lapsed else None,
        kept_s=seconds_between(began, row.keep_until),
        busy_s=(row.busy_until - began).total_seconds() - row.lease_grace_s if row.busy_until else None,
        extended_s=row.extended_s,
        idle_limit_s=row.idle_timeout_s,
        quiet=row.quiet,
        quiet_at_most_s=row.quiet_at_most_s,
    )


def _last_active(row: SessionRow, stopped_at: datetime) -> datetime:
    """Return when a session was last active whose row does not say: one that ended idle, a limit before; else late."""
    began = row.running_at or stopped_at
    idle = row.end_reason is EndReason.IDLE
    return max(began, stopped_at - timedelta(seconds=row.idle_timeout_s)) if idle else max(began, stopped_at)


def _ended_by_rule(row: SessionRow, active_at: datetime, stopped_at: datetime) -> datetime:
    """Return the instant that ended the session: its rule's own where a rule did, which the driver sees a bit later."""
    at = stopped_at
    if row.end_reason is EndReason.IDLE:
        idle_at = active_at + timedelta(seconds=row.idle_timeout_s)
        at = max(idle_at, row.keep_until or idle_at, row.busy_until or idle_at)
    elif row.end_reason is EndReason.MAX_LIFETIME and row.running_at is not None:
        at = row.running_at + timedelta(seconds=row.max_lifetime_s)
    return min(at, stopped_at)


def seconds_between(start: datetime, end: datetime | None) -> float | None:
    return (end - start).total_seconds() if end is not None else None


@dataclass(frozen=True, slots=True)
class End:
    """When a session's use ends, by what, and what is in doubt about it."""

    at: datetime
    reason: EndReason | None
    doubt: Doubt | None = None


def end_of_use(use: Use, running_at: datetime, settings: GpuSettings) -> End:
    """Return when a session that is used so ends under these settings, by the rule that sessions go by (lease.py)."""
    idle_s = settings.idle.timeout_minutes * 60
    active_s, doubt = _active_until(use, idle_s)
    longest_s = settings.max_lifetime_minutes * 60 + min(use.extended_s, settings.extend_limit_minutes * 60)
    lease_s = longest_s if use.lapses_s is None else use.lapses_s
    grace = timedelta(minutes=settings.idle.grace_minutes)
    shell = ShellFacts(
        lease_expires_at=running_at + timedelta(seconds=lease_s),
        last_activity_at=running_at + timedelta(seconds=active_s),
        closed=False,
        busy_until=running_at + timedelta(seconds=use.busy_s) + grace if use.busy_s is not None else None,
    )
    facts = HoldFacts(
        shells=(shell,),
        running_at=running_at,
        idle_timeout=timedelta(seconds=idle_s),
        max_lifetime=timedelta(seconds=longest_s),
        lease_grace=grace,
        keep_until=running_at + timedelta(seconds=use.kept_s) if use.kept_s is not None else None,
    )
    end = deadline(facts)
    if use.leaves_s is not None and (leaves_at := running_at + timedelta(seconds=use.leaves_s)) < end.at:
        cut_short = use.ended_as is None or use.ended_as in CUT_SHORT
        return End(leaves_at, use.leaves_as, doubt or (Doubt.AT_LEAST if cut_short else None))
    if end.reason is EndReason.LEASE_LAPSED:
        return End(end.at, end.reason, doubt or Doubt.AT_LEAST)
    longer = end.reason is EndReason.IDLE and use.ended_as is EndReason.IDLE and idle_s > use.idle_limit_s
    return End(end.at, end.reason, doubt or (Doubt.AT_MOST if longer else None))


def _active_until(use: Use, idle_s: float) -> tuple[float, Doubt | None]:
    """Return the activity, in seconds from running, after which an idle limit of so many seconds would be reached."""
    if idle_s >= use.idle_limit_s:
        return use.active_s, None
    for begun_s, lasted_s in use.quiet:
        if lasted_s >= idle_s and begun_s + lasted_s >= (use.kept_s or 0.0):
            return begun_s, None
    if use.quiet_at_most_s is None or idle_s <= use.quiet_at_most_s:
        return use.active_s, Doubt.IDLE_UNKNOWN
    return use.active_s, None
