"""Shells: read and close."""

from __future__ import annotations

from activities.closing import Closed, close, other_open_shells
from api.call import Call, Reply
from api.monitors import CLOSE, STOP, STOP_POLL_MS, monitor_headers
from api.views import shell_view
from api.wire import ShellList, ShellView
from shared.domain.errors import ErrorCode, Problem, Refused
from shared.domain.records import SessionRow, ShellRow
from shared.domain.states import EndReason, SessionState
from shared.ports.sessions import until_settled
from shared.ports.tables import Stored


def get_shell(call: Call) -> Reply:
    stored = shell_or_404(call)
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
            others = other_open_shells(call.world, stored.row, session.row)
            return _closed(call, Closed(shell=stored.row, session=session.row, open_shells=others))
        closed = close(call.world, stored, session, call.actor)
        return _closed(call, closed) if closed is not None else None

    return until_settled(attempt)


def _closed(call: Call, closed: Closed) -> Reply:
    session, others = closed.session, closed.open_shells
    view = shell_view(closed.shell, session, call.world.now(), open_shells=others)
    if others:
        return Reply(status=202, body=view, headers=monitor_headers(call, CLOSE, session, None))
    return Reply(status=202, body=view, headers=monitor_headers(call, STOP, session, STOP_POLL_MS), wake=(session,))


def refuse_if_over(shell: ShellRow) -> None:
    if shell.stop_reason is None and shell.closed_at is None:
        return
    message = shell.stop_message or "This shell was closed."
    why = Problem(code=ErrorCode.STOPPED, message=message, target=str(shell.stop_reason or EndReason.SHELLS_CLOSED))
    raise Refused(409, ErrorCode.SHELL_ENDED, f"The shell has ended. {message} Open a new one.", details=(why,))


def shell_or_404(call: Call) -> Stored[ShellRow]:
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
