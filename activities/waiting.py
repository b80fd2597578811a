"""Waiting in line: the step looks only for reasons to leave. Places are given where they become free, by the desk."""

from __future__ import annotations

from typing import Any

from activities.admission import ended_unheld
from activities.turn import Decided, LedgerMove, Move, Turn, holding_pause_s, take_turn
from shared.domain.admission import Book, refusal_at_once
from shared.domain.beginning import given_up
from shared.domain.errors import ErrorCode, Problem
from shared.domain.lease import Deadline
from shared.domain.states import EndReason, SessionState
from shared.ports.world import World


def wait_in_line(wire: dict[str, Any], world: World) -> dict[str, Any]:
    """Let the session wait on, or take it out of the line: cancelled, given up by its client, out of time."""
    return take_turn(world, wire, frozenset({SessionState.WAITING}), _wait)


def _wait(turn: Turn) -> Move | LedgerMove:
    if (reason := turn.reason_to_stop()) is not None:
        return _leave(turn, reason, None)
    session = turn.session
    if session.wait_until is not None and session.wait_until <= turn.now:
        return _leave(turn, EndReason.WAIT_TIMED_OUT, _timed_out(turn))
    stored = turn.world.sessions.ledger(session.project)
    if stored is not None and (refused := refusal_at_once(stored.row.held_settings, session.gpu_type)) is not None:
        disabled = refused.code is ErrorCode.GPU_DISABLED
        return _leave(turn, EndReason.PROJECT_DISABLED if disabled else EndReason.REFUSED, refused)
    return turn.stay(holding_pause_s(turn, _next_reason(turn).at))


def _next_reason(turn: Turn) -> Deadline:
    """Return when there may be a reason to leave: the wait is over, or the client's lease has lapsed."""
    end, until = turn.end(), turn.session.wait_until
    return end if until is None or end.at < until else Deadline(at=until, reason=EndReason.WAIT_TIMED_OUT)


def _leave(turn: Turn, reason: EndReason, problem: Problem | None) -> LedgerMove:
    """End the session and give its place in line on, in one transaction: nobody is promoted after having left."""
    move = ended_unheld(turn, given_up(turn.session, reason, problem, turn.now))

    def decide(book: Book) -> Decided:
        return Decided(move=move, ledger=book.ledger, leaves=turn.session.waiter)

    return LedgerMove(decide=decide)


def _timed_out(turn: Turn) -> Problem:
    waited = turn.now - turn.session.created_at
    minutes = waited.total_seconds() / 60
    message = f"No GPU became free in {minutes:.0f} minutes of waiting. {turn.session.wait_reason or ''}".strip()
    return Problem(code=ErrorCode.WAIT_TIMED_OUT, message=message)
