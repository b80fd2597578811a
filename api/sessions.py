"""Sessions and their operations: list, read, stop, follow."""

from __future__ import annotations

import msgspec

from api.asked import page_size, user_asked
from api.call import Call, Reply
from api.monitors import CLOSE, OPEN, STOP, STOP_POLL_MS, monitor_headers, operation_view, poll_ms
from api.views import session_view
from api.wire import SessionList, SessionView, StopSessionRequest
from shared.domain import names
from shared.domain.errors import ErrorCode, Refused
from shared.domain.events import EventType, session_facts
from shared.domain.names import SessionId
from shared.domain.records import SessionRow, ShellRow
from shared.domain.states import EndReason, SessionState
from shared.ports.outgoing import new_wake, outbox_entry
from shared.ports.sessions import session_update, until_settled
from shared.ports.tables import Change, Stored


def list_sessions(call: Call) -> Reply:
    """List the project's sessions, newest first: the caller's own, or all of them for an administrator."""
    wanted = _state_filter(call.query.get("state"))
    owner, sees_all = user_asked(call), call.administers
    rows = [
        row
        for row in call.world.sessions.sessions(call.project)
        if (sees_all or row.user == call.caller.user)
        and (wanted is None or row.state is wanted)
        and (owner is None or row.user == owner)
    ]
    rows.sort(key=_page_key, reverse=True)
    return _page(call, rows)


def _state_filter(text: str | None) -> SessionState | None:
    if text is None:
        return None
    for state in SessionState:
        if state.lower() == text.lower():
            return state
    known = ", ".join(SessionState)
    raise Refused(400, ErrorCode.INVALID_PARAMETER, f"'state' must be one of {known}.", target="state")


def _page_key(row: SessionRow) -> str:
    return f"{int(row.created_at.timestamp() * 1000):014d}-{row.session}"


def _page(call: Call, rows: list[SessionRow]) -> Reply:
    size = page_size(call)
    after = call.query.get("after")
    left = [row for row in rows if after is None or _page_key(row) < after]
    page = left[:size]
    next_link = None
    if len(left) > len(page):
        kept = "&".join(f"{name}={value}" for name, value in call.query.items() if name != "after")
        next_link = f"{call.base_url}/projects/{call.project}/sessions?{kept}&after={_page_key(page[-1])}"
    views = [view_of(call, row) for row in page]
    return Reply(status=200, body=SessionList(value=views, next_link=next_link))


def view_of(call: Call, row: SessionRow) -> SessionView:
    """Return the session with its shells, and its place where it stands in line."""
    shells = _shells_of(call, row) if row.state is not SessionState.ENDED else []
    book = call.world.sessions.recent_book(call.project) if row.state is SessionState.WAITING else None
    return session_view(row, shells, call.world.now(), book)


def _shells_of(call: Call, row: SessionRow) -> list[ShellRow]:
    return [stored.row for stored in call.world.sessions.shells_in(row)]


def get_session(call: Call) -> Reply:
    return Reply(status=200, body=view_of(call, session_or_404(call).row))


def stop_session(call: Call) -> Reply:
    """Ask for the session's end. The row is the command; the driver is only hurried. A second call changes nothing."""
    note = call.body(StopSessionRequest).reason

    def attempt() -> SessionRow | None:
        stored = session_or_404(call)
        if stored.row.stop_reason is not None or stored.row.state in (SessionState.STOPPING, SessionState.ENDED):
            return stored.row
        own = stored.row.user == call.caller.user
        reason = EndReason.STOPPED_BY_USER if own else EndReason.STOPPED_BY_ADMINISTRATOR
        row = msgspec.structs.replace(
            stored.row, stop_reason=reason, stop_by=call.caller.user, stop_note=note, wakes=stored.row.wakes + 1
        )
        facts = {**session_facts(row), "stopReason": reason, "note": note}
        changes: list[Change] = [
            session_update(stored, row),
            new_wake(row.session, "stop", call.world.now()),
            outbox_entry(
                EventType.STOP_REQUESTED,
                f"sessions/{row.session}",
                facts,
                call.actor,
                call.world.now(),
                seq=row.seq,
            ),
        ]
        return row if call.world.sessions.commit(call.project, changes) else None

    row = until_settled(attempt)
    headers = monitor_headers(call, STOP, row, STOP_POLL_MS)
    wake = (row,) if row.state is not SessionState.ENDED else ()
    return Reply(status=202, body=view_of(call, row), headers=headers, wake=wake)


def get_operation(call: Call) -> Reply:
    kind, _, text = call.operation.partition("-")
    session = names.session_id(text)
    if kind not in (OPEN, STOP, CLOSE) or session is None:
        raise Refused(404, ErrorCode.NOT_FOUND, "There is no such operation.")
    stored = _visible(call, session)
    if stored is None:
        raise Refused(404, ErrorCode.NOT_FOUND, "There is no such operation.")
    waits = stored.row.state is SessionState.WAITING
    view = operation_view(kind, stored.row, call.world.sessions.recent_book(call.project) if waits else None)
    final = view.status not in ("NotStarted", "Running")
    headers = (
        {}
        if final
        else {"Retry-After": "1", "Retry-After-Ms": str(poll_ms(stored.row, call.world.now(), view.queue_position))}
    )
    return Reply(status=200, body=view, headers=headers)


def session_or_404(call: Call) -> Stored[SessionRow]:
    """Return the session if it is the caller's own or the caller administers the project; else it does not exist."""
    stored = _visible(call, call.session)
    if stored is None:
        raise Refused(404, ErrorCode.NOT_FOUND, "There is no such session.")
    return stored


def _visible(call: Call, session: SessionId) -> Stored[SessionRow] | None:
    """Return the session if it is the caller's to see. The directory is asked about all that is not the caller's own,
    be it there or not: neither an outage nor the time that an answer takes tells which.
    """
    stored = call.world.sessions.session(call.project, session)
    if stored is not None and stored.row.user == call.caller.user:
        return stored
    return stored if call.administers else None
