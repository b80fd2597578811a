"""The way into a session's container: just in time, to the shell's owner, in memory alone."""

from __future__ import annotations

from datetime import timedelta

from api.call import Call, Reply
from api.leases import renew
from api.shells import refuse_if_over, session_of, shell_or_404
from api.wire import ConnectShellRequest, ConnectView
from shared.domain import names
from shared.domain.activity import Report
from shared.domain.errors import ErrorCode, Problem, Refused
from shared.domain.events import EventType
from shared.domain.records import SessionRow
from shared.domain.states import EndReason, SessionState
from shared.ports.container_apps import NotYet
from shared.ports.entitlement import EntitlementUnknown
from shared.ports.outgoing import outbox

CONTROL_PLANE_FIRST = timedelta(minutes=15)
"""So long after a session's lease and grace its agent still waits: who decides over it is the control plane."""


def connect_shell(call: Call) -> Reply:
    """Return a way into the container, just in time, to the shell's owner, while the session runs.

    It cannot be taken back before it expires or the app is gone, so it is fetched last, after all that may refuse it.
    Nobody gets one that the audit lacks.
    """
    stored = shell_or_404(call)
    session = session_of(call, stored.row)
    refuse_if_over(stored.row)
    _refuse_if_ending(session)
    _refuse_if_surely_no_member(call)
    if session.state is not SessionState.RUNNING:
        raise _not_ready(str(session.phase or session.state))
    renew(call, _report(call))
    way_in = call.world.apps.way_in(names.app_name(session.session))
    if isinstance(way_in, NotYet):
        raise _not_ready(way_in.why)
    told = outbox(EventType.SHELL_CONNECTED, session, call.actor, call.world.now(), {"shell": call.shell})
    call.world.sessions.commit(call.project, [told])
    body = ConnectView(
        exec_url=way_in.exec_url,
        token=way_in.token,
        token_expires_at=way_in.expires_at,
        silence_seconds=_silence_s(call, session),
    )
    return Reply(status=200, body=body, headers={"Cache-Control": "no-store"})


def _report(call: Call) -> Report:
    """Return what connecting says of activity: a person's does count, a client's that connects by itself does not."""
    asked = call.body(ConnectShellRequest)
    if asked.active_seconds_ago is None:
        return Report(active_seconds_ago=0.0, connects=True)
    return Report(active_seconds_ago=asked.active_seconds_ago)


def _silence_s(call: Call, session: SessionRow) -> float:
    return call.world.settings.lease.total_seconds() + session.lease_grace_s + CONTROL_PLANE_FIRST.total_seconds()


def _refuse_if_ending(session: SessionRow) -> None:
    """A stop that has been asked for closes the way in at once, not only when the driver comes to it."""
    if session.stop_reason is not None or session.state in (SessionState.STOPPING, SessionState.ENDED):
        message = "The session is ending. Open a new shell."
        reason = str(session.stop_reason or session.end_reason or EndReason.SHELLS_CLOSED)
        why = Problem(code=ErrorCode.STOPPED, message=message, target=reason)
        raise Refused(409, ErrorCode.SHELL_ENDED, message, details=(why,))


def _refuse_if_surely_no_member(call: Call) -> None:
    """Who has lost the Dev Box gets no way in; a directory that does not answer keeps nobody from a running session."""
    try:
        is_member = call.world.entitlement.is_member(call.project, call.user)
    except EntitlementUnknown:
        return
    if not is_member:
        message = "You no longer have a usable Dev Box in this project."
        raise Refused(403, ErrorCode.NOT_ENTITLED, message)


def _not_ready(why: str) -> Refused:
    message = f"The session is not ready to connect to yet ({why}). Ask again in a moment."
    return Refused(409, ErrorCode.SHELL_NOT_READY, message, retry_after_s=1)
