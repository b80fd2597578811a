"""Signs of life: a shell's renewal, and what it is told in return."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

import msgspec

from api.call import Call, Reply
from api.shells import refuse_if_over, session_of, shell_or_404
from api.views import planned_stop
from api.wire import LeaseView, RenewLeaseRequest, WarningView
from shared.domain.activity import Report, Rules, learned
from shared.domain.admission import free_for
from shared.domain.lease import Deadline, HoldFacts, planned_end
from shared.domain.records import ShellRow, ordered_end
from shared.domain.warnings import next_warning_at, warning_of
from shared.ports.sessions import until_settled

SOONEST_RENEWAL_S = 1.0


def renew_lease(call: Call) -> Reply:
    shell = renew(call, call.body(RenewLeaseRequest).report())
    stop, now = _planned_stop(call, shell), call.world.now()
    body = LeaseView(
        lease_expires_at=shell.lease_expires_at,
        renew_after_seconds=_renew_after_s(call, shell, stop, now),
        stops_at=stop.at if stop else None,
        stop_reason=stop.reason if stop else None,
        warnings=list(_warnings(call, shell, stop, now)),
    )
    return Reply(status=200, body=body)


def _renew_after_s(call: Call, shell: ShellRow, stop: Deadline | None, now: datetime) -> float:
    """Return when to renew next, in seconds: as usual, or as soon as the next warning is due."""
    usual_s = call.world.settings.renew_after.total_seconds()
    warning_at = next_warning_at(stop, shell.warn_minutes, now) if stop is not None else None
    if warning_at is None:
        return usual_s
    return min(usual_s, max(SOONEST_RENEWAL_S, (warning_at - now).total_seconds()))


def renew(call: Call, report: Report) -> ShellRow:
    """Renew the shell's lease with one guarded write; a stop that was decided first wins (I8)."""
    rows = call.world.sessions.shell_rows

    def attempt() -> ShellRow | None:
        stored = rows.last_written(call.project, call.user, call.shell) or shell_or_404(call)
        refuse_if_over(stored.row)
        row = _renewed(stored.row, report, call.world.now(), call.world.settings.lease)
        return row if rows.rewrite(stored, row) else None

    return until_settled(attempt)


def _renewed(row: ShellRow, report: Report, now: datetime, lease: timedelta) -> ShellRow:
    """Return the row after this report, judged by the rules that the row itself repeats."""
    rules = Rules(gpu_busy_percent=row.gpu_busy_percent, waits=lease + timedelta(seconds=row.lease_grace_s))
    known = learned(row.activity, report, now, rules, lapsed=row.lease_expires_at <= now)
    return msgspec.structs.replace(
        row,
        lease_expires_at=now + lease,
        last_activity_at=known.at,
        active_signal=known.signal,
        active_figure=known.figure,
        busy_until=known.busy_until,
        busy_signal=known.busy_signal,
    )


def _planned_stop(call: Call, shell: ShellRow) -> Deadline | None:
    """Return when the session stops if nothing more happens: from the shell's own row, where it is there alone."""
    if shell.running_at is None or not shell.idle_timeout_s or not shell.max_lifetime_s:
        return None
    if shell.in_company:
        session = session_of(call, shell)
        return planned_stop(session, [one.row for one in call.world.sessions.shells_in(session)])
    facts = HoldFacts(
        shells=(shell.facts(),),
        running_at=shell.running_at,
        idle_timeout=timedelta(seconds=shell.idle_timeout_s),
        max_lifetime=timedelta(seconds=shell.max_lifetime_s),
        lease_grace=timedelta(0),
        keep_until=shell.keep_until,
        ordered=ordered_end(shell),
    )
    return planned_end(facts)


def _warnings(call: Call, shell: ShellRow, stop: Deadline | None, now: datetime) -> Iterator[WarningView]:
    """Yield what the person at the shell is to know. The same warning has the same words: a client tells it once."""
    due = None
    if stop is not None:
        due = warning_of(stop, shell.warn_minutes, shell.session, now, extendable=shell.extendable)
    if due is not None:
        yield WarningView(kind=due.kind, message=due.message, at=due.at)
    if shell.guest and _could_have_its_own(call, shell):
        message = (
            "A GPU of your own is free: this shell shares the session of another. "
            "Open a new shell to have it; this one stays as it is."
        )
        yield WarningView(kind="OwnGpuAvailable", message=message)


def _could_have_its_own(call: Call, shell: ShellRow) -> bool:
    book = call.world.sessions.recent_book(call.project)
    if book is None or len(book.line):
        return False
    return free_for(book, shell.user, session_of(call, shell).gpu_type)[1] > 0
