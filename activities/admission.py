"""Admission as a step: a session whose request was stored undecided gets its place, stands in line, or is refused.

OpenShell decides in the transaction that stores the request (api/opening.py); what is left here are sessions that an
older version of the app has stored as Requested. Every driver begins with this step: it also says where a session is.
"""

from __future__ import annotations

from typing import Any

from activities.stopping import TOLD
from activities.turn import Decided, LedgerMove, Move, Turn, take_turn
from shared.domain.admission import Book
from shared.domain.beginning import given_up, outcome_of
from shared.domain.events import EventType
from shared.domain.records import SessionRow
from shared.domain.states import EndReason, SessionState
from shared.ports.world import World

EVENT_OF = {
    SessionState.PROVISIONING: EventType.SESSION_PROVISIONING,
    SessionState.WAITING: EventType.SESSION_WAITING,
    SessionState.ENDED: EventType.SESSION_ENDED,
}
"""What is told of a session that admission has brought into each state."""


def admit_session(wire: dict[str, Any], world: World) -> dict[str, Any]:
    """Decide over a requested session. One that is past this is left as it is."""
    return take_turn(world, wire, frozenset({SessionState.REQUESTED}), _admit)


def _admit(turn: Turn) -> Move | LedgerMove:
    if (reason := turn.reason_to_stop()) is not None:
        return ended_unheld(turn, given_up(turn.session, reason, None, turn.now))
    outlook = turn.world.outlook(turn.session.project)

    def decide(book: Book) -> Decided:
        outcome = outcome_of(turn.session, book, outlook)
        row = outcome.session
        move = ended_unheld(turn, row) if row.end_reason else Move(session=row, event=EVENT_OF[row.state])
        return Decided(move=move, ledger=outcome.ledger, joins=outcome.joins)

    return LedgerMove(decide=decide)


def ended_unheld(turn: Turn, row: SessionRow) -> Move:
    """Return the move of a session that ends without ever having held a GPU; its shells are told why."""
    reason = row.end_reason or EndReason.CANCELLED
    told = turn.shell_updates(stop_reason=reason, stop_message=row.error_message or TOLD.get(reason, ""))
    return Move(session=row, changes=told, event=EventType.SESSION_ENDED)
