"""When a running session is stopped, and why: closed shells, lapsed leases, idleness, age."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from shared.domain.states import EndReason


@dataclass(frozen=True, slots=True, kw_only=True)
class ShellFacts:
    """What is known of one shell: its lease, when it was last active, whether its user has closed it.

    `busy_until`: its last report was busy, and so long it may be silent without being taken for idle (activity.py).
    """

    lease_expires_at: datetime
    last_activity_at: datetime
    closed: bool
    busy_until: datetime | None = None


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


LONGEST_OPENING_GRACE = timedelta(hours=1)
"""A session that does not run yet computes nothing: its client is not waited for longer than this after the lease."""


def deadline(facts: HoldFacts) -> Deadline:
    """Return when, and why, the session stops if nothing more happens. Closed shells stop it at once.

    The lease counts from the last shell that is still open. Activity moves the idle end, never the lifetime's; one
    whose last report was busy is not idle before its client has been waited for. On a tie the lifetime comes first,
    then the lease: to say "idle" would suggest that staying active had helped.
    """
    still_open = [shell for shell in facts.shells if not shell.closed]
    if not still_open:
        first_shell = min((shell.last_activity_at for shell in facts.shells), default=None)
        at = facts.running_at or first_shell
        if at is None:
            msg = "a session without shells has no deadline"
            raise ValueError(msg)
        return Deadline(at=at, reason=EndReason.SHELLS_CLOSED if facts.running_at else EndReason.CANCELLED)
    grace = facts.lease_grace if facts.running_at else min(facts.lease_grace, LONGEST_OPENING_GRACE)
    lapse = max(shell.lease_expires_at for shell in still_open) + grace
    ends = [Deadline(at=lapse, reason=EndReason.LEASE_LAPSED)]
    if facts.running_at is not None:
        active_at = max(facts.running_at, *(shell.last_activity_at for shell in facts.shells))
        ends.insert(0, Deadline(at=facts.running_at + facts.max_lifetime, reason=EndReason.MAX_LIFETIME))
        kept = (facts.keep_until, *(shell.busy_until for shell in still_open))
        idle_at = max(active_at + facts.idle_timeout, *(until for until in kept if until is not None), active_at)
        ends.append(Deadline(at=idle_at, reason=EndReason.IDLE))
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


def if_quiet(facts: HoldFacts) -> HoldFacts:
    """Return the facts as they would be if every shell that was busy now said that it is not any more."""
    return replace(facts, shells=tuple(replace(shell, busy_until=None) for shell in facts.shells))


def soonest_decision(facts: HoldFacts, now: datetime) -> datetime:
    """Return when a session may have to be stopped at the soonest, whatever its clients report until then."""
    end, sooner = deadline(facts).at, deadline(if_quiet(facts)).at
    return sooner if sooner > now else end


def reason_to_stop(facts: HoldFacts, now: datetime) -> EndReason | None:
    """Return why the session must be stopped now, None while it may live."""
    end = deadline(facts)
    return end.reason if end.at <= now else None
