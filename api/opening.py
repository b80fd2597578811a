"""Opening a shell: under the id that the client chose, decided in the transaction that stores it."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import msgspec

from activities.admission import EVENT_OF
from activities.promoting import glance_around
from activities.settlement import into_history
from api.call import Call, Reply
from api.monitors import FIRST_POLL_MS, OPEN, monitor_headers, operation_view
from api.previews import preview
from api.requested import new_shell, requested_session, settings_that_hold
from api.sharing import Joining, join, seat_for
from api.shell_count import check_shells
from api.shells import session_of
from api.views import shell_view
from api.wire import OpenShellRequest
from shared.domain.admission import Book
from shared.domain.beginning import Outcome, outcome_of
from shared.domain.driving import Drive
from shared.domain.errors import ErrorCode, Refused
from shared.domain.events import EventType
from shared.domain.names import session_key, shell_key
from shared.domain.records import SessionRow, ShellRow
from shared.domain.settings import GpuSettings
from shared.domain.states import SessionState
from shared.ports.book_keeping import Entry
from shared.ports.entitlement import EntitlementUnknown
from shared.ports.governance import GovernanceUnknown
from shared.ports.outgoing import ledger_facts, outbox
from shared.ports.sessions import until_settled
from shared.ports.tables import Change, Insert


def open_shell(call: Call) -> Reply:
    """Create the shell under the id that the client chose, or return the one that is there."""
    request = call.body(OpenShellRequest)
    wish = hashlib.sha256(msgspec.json.encode(request, order="deterministic")).hexdigest()
    try:
        check_shells(call)
        settings = settings_that_hold(call)
        session = requested_session(call, request, settings)
    except (Refused, EntitlementUnknown, GovernanceUnknown):  # what is open already goes on without either
        if (known := _known(call, wish)) is not None:
            return known
        raise
    if call.flag("dryRun"):
        return preview(call, request, session, settings)
    glance_around(call.world, call.project)
    return until_settled(lambda: _seat(call, request, session, settings, wish))


def _seat(call: Call, request: OpenShellRequest, session: SessionRow, settings: GpuSettings, wish: str) -> Reply | None:
    """Join a session of the user's where that is wished and there is one, else ask for one; None: to be tried again."""
    try:
        seat = seat_for(call, request, session, settings)
    except Refused:
        if (known := _known(call, wish)) is not None:
            return known
        raise
    if isinstance(seat, Joining):
        shell = new_shell(call, request, seat.session.row, wish)
        joined = join(call, seat, shell)
        return _known(call, wish) if joined is None else _opened(call, 201, *joined)
    return _ask(call, session, new_shell(call, request, session, wish), seat.changes, wish)


def _ask(call: Call, session: SessionRow, shell: ShellRow, guards: tuple[Change, ...], wish: str) -> Reply | None:
    """Ask the ledger for a session of its own: admitted, in line or refused, and stored as such in one transaction."""
    outlook = call.world.outlook(call.project)
    decided: list[Outcome] = []

    def request(book: Book) -> Entry:
        outcome = _settled_if_refused(outcome_of(session, book, outlook))
        decided.append(outcome)
        return Entry(outcome.ledger, [*_stored(call, session, outcome.session, shell, book), *guards], outcome.joins)

    if not call.world.sessions.ledgers.enter(call.project, request):
        return _known(call, wish)
    row = decided[-1].session
    if row.ended_at is not None:
        into_history(call.world.sessions.tables, row, row.ended_at)
        return _opened(call, 201, _told(shell, row), row)
    drive = Drive(project=row.project, session=row.session, epoch=row.epoch, state=row.state, trace=row.trace)
    return _opened(call, 201, _told(shell, row), row, start=drive)


def _settled_if_refused(outcome: Outcome) -> Outcome:
    """A refused session has nothing to settle and needs no driver: it costs no more than its rows."""
    if outcome.session.state is not SessionState.ENDED:
        return outcome
    return replace(outcome, session=msgspec.structs.replace(outcome.session, settled=True))


def _stored(call: Call, asked: SessionRow, row: SessionRow, shell: ShellRow, book: Book) -> list[Change]:
    return [
        Insert(session_key(row.session), row),
        Insert(shell_key(shell.user, shell.shell), _told(shell, row)),
        outbox(EventType.SESSION_REQUESTED, asked, call.actor, asked.created_at),
        outbox(EVENT_OF[row.state], row, call.actor, book.now, ledger_facts(book)),
    ]


def _told(shell: ShellRow, row: SessionRow) -> ShellRow:
    """Return the shell as it is stored: one whose session was refused knows why."""
    if row.state is not SessionState.ENDED:
        return shell
    return msgspec.structs.replace(shell, stop_reason=row.end_reason, stop_message=row.error_message)


def _known(call: Call, wish: str) -> Reply | None:
    """Return the answer for a shell id that is in use: the shell as it is, if the same was asked for."""
    stored = call.world.sessions.shell(call.project, call.user, call.shell)
    if stored is None:
        return None
    if stored.row.request != wish:
        raise Refused(
            409, ErrorCode.SHELL_EXISTS, f"Shell '{call.shell}' was opened with another request. Choose another id."
        )
    return _opened(call, 200, stored.row, session_of(call, stored.row))


def _opened(call: Call, status: int, shell: ShellRow, session: SessionRow, *, start: Drive | None = None) -> Reply:
    view = shell_view(shell, session, call.world.now())
    headers = {"ETag": view.etag, **_monitor(call, session)}
    return Reply(status=status, body=view, headers=headers, start=start)


def _monitor(call: Call, session: SessionRow) -> dict[str, str]:
    under_way = operation_view(OPEN, session).status in ("NotStarted", "Running")
    return monitor_headers(call, OPEN, session, FIRST_POLL_MS if under_way else None)
