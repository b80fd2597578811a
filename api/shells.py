"""Shells: read, close, connect, renew."""

from __future__ import annotations

from datetime import datetime, timedelta

import msgspec

from api.call import Call, Reply
from api.views import STOP, STOP_POLL_MS, monitor_headers, shell_view
from api.wire import ConnectView, LeaseView, RenewLeaseRequest, ShellList, ShellView
from shared.domain import names
from shared.domain.errors import ErrorCode, Problem, Refused
from shared.domain.events import EventType, session_facts
from shared.domain.lease import HoldFacts, activity_instant, planned_end
from shared.domain.records import SessionRow, ShellRow
from shared.domain.states import EndReason, SessionState
from shared.ports.container_apps import NotYet
from shared.ports.outgoing import new_wake, outbox_entry
from shared.ports.sessions import session_update, until_settled
from shared.ports.tables import Change, Stored, Update


def get_shell(call: Call) -> Reply:
    stored = _shell_or_404(call)
    view = shell_view(stored.row, session_of(call, stored.row), call.world.now())
    if call.headers.get("if-none-match") == view.etag:
        return Reply(status=304, headers={"ETag": view.etag})
    return Reply(status=200, body=view, headers={"ETag": view.etag})


def list_shells(call: Call) -> Reply:
    shells = call.world.sessions.shells_of(call.project, call.user)
    sessions = {row.session: row for row in call.world.sessions.sessions(call.project)}
    now = call.world.now()
    views: list[ShellView] = [
        shell_view(shell, sessions[shell.session], now) for shell in shells if shell.session in sessions
    ]
    return Reply(status=200, body=ShellList(value=sorted(views, key=lambda view: view.created_at, reverse=True)))


def close_shell(call: Call) -> Reply:
    """Close the shell; the last one to close ends its session."""

    def attempt() -> Reply | None:
        stored = call.world.sessions.shell(call.project, call.user, call.shell)
        if stored is None:
            return Reply(status=204)
        session = call.world.sessions.session(call.project, stored.row.session)
        if session is None or session.row.state is SessionState.ENDED:
            return Reply(status=204)
        if stored.row.closed_at is not None:
            return _closed(call, stored.row, session.row)
        return _close(call, stored, session)

    return until_settled(attempt)


def _close(call: Call, stored: Stored[ShellRow], session: Stored[SessionRow]) -> Reply | None:
    shell = msgspec.structs.replace(stored.row, closed_at=call.world.now())
    running = session.row.running_at is not None
    reason = session.row.stop_reason or (EndReason.SHELLS_CLOSED if running else EndReason.CANCELLED)
    row = msgspec.structs.replace(
        session.row,
        stop_reason=reason,
        stop_by=session.row.stop_by or call.caller.user,
        wakes=session.row.wakes + 1,
    )
    facts = {**session_facts(row), "shell": shell.shell}
    changes: list[Change] = [
        session_update(session, row),
        Update(stored.key, shell, stored.etag),
        new_wake(row.session, "close", call.world.now()),
        outbox_entry(
            EventType.SHELL_CLOSED, f"sessions/{row.session}", facts, call.caller.user, call.world.now(), seq=row.seq
        ),
    ]
    return _closed(call, shell, row) if call.world.sessions.commit(call.project, changes) else None


def _closed(call: Call, shell: ShellRow, session: SessionRow) -> Reply:
    view = shell_view(shell, session, call.world.now())
    headers = monitor_headers(call, STOP, session, STOP_POLL_MS)
    return Reply(status=202, body=view, headers=headers, wake=(session,))


def connect_shell(call: Call) -> Reply:
    """Return a way into the container, just in time, to the shell's owner."""
    stored = _shell_or_404(call)
    session = session_of(call, stored.row)
    _refuse_if_over(stored.row)
    if session.state is not SessionState.RUNNING:
        raise _not_ready(str(session.phase or session.state))
    _renew(call, active_seconds_ago=0.0)
    way_in = call.world.apps.way_in(names.app_name(session.session))
    if isinstance(way_in, NotYet):
        raise _not_ready(way_in.why)
    body = ConnectView(exec_url=way_in.exec_url, token=way_in.token, token_expires_at=way_in.expires_at)
    return Reply(status=200, body=body, headers={"Cache-Control": "no-store"})


def _not_ready(why: str) -> Refused:
    message = f"The session is not ready to connect to yet ({why}). Ask again in a moment."
    return Refused(409, ErrorCode.SHELL_NOT_READY, message, retry_after_s=1)


def renew_lease(call: Call) -> Reply:
    shell = _renew(call, active_seconds_ago=call.body(RenewLeaseRequest).active_seconds_ago)
    stop = None
    if shell.running_at is not None and shell.idle_timeout_s and shell.max_lifetime_s:
        facts = HoldFacts(
            shells=(shell.facts(),),
            running_at=shell.running_at,
            idle_timeout=timedelta(seconds=shell.idle_timeout_s),
            max_lifetime=timedelta(seconds=shell.max_lifetime_s),
            lease_grace=timedelta(0),
        )
        stop = planned_end(facts)
    body = LeaseView(
        lease_expires_at=shell.lease_expires_at,
        renew_after_seconds=call.world.settings.renew_after.total_seconds(),
        stops_at=stop.at if stop else None,
        stop_reason=stop.reason if stop else None,
    )
    return Reply(status=200, body=body)


def _renew(call: Call, *, active_seconds_ago: float) -> ShellRow:
    """Renew the shell's lease with one read and one guarded write; a stop that was decided first wins (I8)."""

    def attempt() -> ShellRow | None:
        stored = _shell_or_404(call)
        _refuse_if_over(stored.row)
        now: datetime = call.world.now()
        row = msgspec.structs.replace(
            stored.row,
            lease_expires_at=now + call.world.settings.lease,
            last_activity_at=activity_instant(active_seconds_ago, now, stored.row.last_activity_at),
        )
        return row if call.world.sessions.commit(call.project, [Update(stored.key, row, stored.etag)]) else None

    return until_settled(attempt)


def _refuse_if_over(shell: ShellRow) -> None:
    if shell.stop_reason is None and shell.closed_at is None:
        return
    message = shell.stop_message or "This shell was closed."
    why = Problem(code=ErrorCode.STOPPED, message=message, target=str(shell.stop_reason or EndReason.SHELLS_CLOSED))
    raise Refused(409, ErrorCode.SHELL_ENDED, f"The shell has ended. {message} Open a new one.", details=(why,))


def _shell_or_404(call: Call) -> Stored[ShellRow]:
    stored = call.world.sessions.shell(call.project, call.user, call.shell)
    if stored is None:
        raise Refused(404, ErrorCode.NOT_FOUND, "There is no such shell.")
    return stored


def session_of(call: Call, shell: ShellRow) -> SessionRow:
    """Return the row of the shell's session."""
    stored = call.world.sessions.session(call.project, shell.session)
    if stored is None:
        raise Refused(404, ErrorCode.NOT_FOUND, "There is no such shell.")
    return stored.row
