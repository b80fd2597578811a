"""When a running session is stopped, and why: closed shells, lapsed leases, idleness, age."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from shared.domain.states import EndReason


@dataclass(frozen=True, slots=True, kw_only=True)
class ShellFacts:
    """What is known of one shell: its lease, when it was last active, whether its user has closed it."""

    lease_expires_at: datetime
    last_activity_at: datetime
    closed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Deadline:
    """The instant at which the session is stopped if nothing more happens, and the reason it will be given."""

    at: datetime
    reason: EndReason


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldFacts:
    """What decides over a session that holds, or is about to hold, a GPU. `running_at` is None while provisioning.

    `keep_until`: idleness does not stop it before. `ordered`: a stop that was announced and comes whatever is done.
    """

    shells: tuple[ShellFacts, ...]
    running_at: datetime | None
    idle_timeout: timedelta
    max_lifetime: timedelta
    lease_grace: timedelta
    keep_until: datetime | None = None
    ordered: Deadline | None = None


def deadline(facts: HoldFacts) -> Deadline:
    """Return when, and why, the session stops if nothing more happens. Closed shells stop it at once.

    The lease counts from the last shell that is still open. Activity moves the idle end, never the lifetime's. On a
    tie the lifetime comes first, then the lease: to say "idle" would suggest that staying active had helped.
    """
    still_open = [shell for shell in facts.shells if not shell.closed]
    if not still_open:
        first_shell = min((shell.last_activity_at for shell in facts.shells), default=None)
        at = facts.running_at or first_shell
        if at is None:
            msg = "a session without shells has no deadline"
            raise ValueError(msg)
        return Deadline(at=at, reason=EndReason.SHELLS_CLOSED if facts.running_at else EndReason.CANCELLED)
    lapse = max(shell.lease_expires_at for shell in still_open) + facts.lease_grace
    ends = [Deadline(at=lapse, reason=EndReason.LEASE_LAPSED)]
    if facts.running_at is not None:
        active_at = max(facts.running_at, *(shell.last_activity_at for shell in facts.shells))
        ends.insert(0, Deadline(at=facts.running_at + facts.max_lifetime, reason=EndReason.MAX_LIFETIME))
        idle_at = active_at + facts.idle_timeout
        ends.append(Deadline(at=max(idle_at, facts.keep_until or idle_at), reason=EndReason.IDLE))
    if facts.ordered is not None:
        ends.insert(0, facts.ordered)
    return min(ends, key=lambda end: end.at)


def planned_end(facts: HoldFacts) -> Deadline | None:
    """Return when a running session stops although its leases go on being renewed; None while it does not run."""
    still_open = tuple(shell for shell in facts.shells if not shell.closed)
    if facts.running_at is None or not still_open:
        return None
    after_all_else = facts.running_at + facts.max_lifetime
    renewed = tuple(replace(shell, lease_expires_at=after_all_else) for shell in still_open)
    return deadline(replace(facts, shells=renewed))


def reason_to_stop(facts: HoldFacts, now: datetime) -> EndReason | None:
    """Return why the session must be stopped now, None while it may live."""
    end = deadline(facts)
    return end.reason if end.at <= now else None


def activity_instant(seconds_ago: float, now: datetime, previous: datetime) -> datetime:
    """Return the last activity after a renewal that reports it: never in the future, never moved backwards."""
    return max(previous, now - timedelta(seconds=max(0.0, seconds_ago)))
