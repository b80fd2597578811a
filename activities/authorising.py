"""Holding the budget for what a session is about to cost: each slice is authorised in the ledger before it begins."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import msgspec

from activities.turn import AFTER_DEADLINE_S, Decided, LedgerMove, Move, Turn
from shared.domain.admission import Book
from shared.domain.budget import accrued_in, notice, renewal_due_at, with_next_slice
from shared.domain.records import SessionRow
from shared.domain.states import EndReason


def within_budget(turn: Turn, move: Move) -> Move | LedgerMove:
    """Return a move that leaves the session as it is, with the next slice authorised where that is due.

    Where the budget does not bear it, a stop is ordered for the end of the slice that is held; a budget that is raised
    in time calls it off.
    """
    stored = turn.world.sessions.recent_settings(turn.session.project)
    budget = stored.row.settings.budget if stored else None
    if budget is None or not budget.hard_stop:
        return _called_off(move)
    due_at, now = _due_at(turn, move.session), turn.now
    if now < due_at and move.session.ordered_stop_reason is not EndReason.BUDGET_EXHAUSTED:
        return replace(move, pause_s=_until(due_at, now, move.pause_s))
    return LedgerMove(decide=lambda book: _renewed(turn, move, book))


def _due_at(turn: Turn, session: SessionRow) -> datetime:
    return renewal_due_at(session.authorised_until or turn.now, turn.world.settings.window, _warns_for(session))


def _warns_for(session: SessionRow) -> timedelta:
    return timedelta(minutes=max(session.warn_minutes, default=0.0))


def _until(at: datetime, now: datetime, at_most_s: float) -> float:
    return max(AFTER_DEADLINE_S, min(at_most_s, (at - now).total_seconds() + AFTER_DEADLINE_S))


def _renewed(turn: Turn, move: Move, book: Book) -> Decided:
    """Hold the next slice, or order the stop where the budget does not bear it or there is no price to hold by."""
    if book.hard_budget is None:
        return Decided(move=_called_off(move), ledger=book.ledger)
    session = move.session
    ledger = with_next_slice(book, session, session.gpu_type, turn.now)
    if ledger is None:
        told = book.ledger.accruing({session.session: accrued_in(book, session, turn.now)})
        return Decided(move=_ordered(turn, move, book), ledger=told)
    held = _with(_called_off(move), authorised_until=turn.now + book.slice)
    held = replace(held, pause_s=_until(_due_at(turn, held.session), turn.now, move.pause_s))
    return Decided(move=held, ledger=ledger)


def _ordered(turn: Turn, move: Move, book: Book) -> Move:
    """Order the stop, once; one that is ordered for another reason and comes earlier stays."""
    session, stop_at = move.session, _stop_at(turn, move.session, book)
    if session.ordered_stop_at is not None and session.ordered_stop_at <= stop_at:
        return move
    stopping = _with(move, ordered_stop_at=stop_at, ordered_stop_reason=EndReason.BUDGET_EXHAUSTED)
    return replace(stopping, pause_s=_until(stop_at, turn.now, move.pause_s))


def _stop_at(turn: Turn, session: SessionRow, book: Book) -> datetime:
    """Return the end of what is held. Where nothing is, the budget is newer than the session: it is warned first."""
    held_until = session.authorised_until if session.session in book.ledger.authorised else None
    if held_until is not None and turn.now < held_until + book.slice:
        return held_until
    return turn.now + notice(book.slice, _warns_for(session))


def _called_off(move: Move) -> Move:
    if move.session.ordered_stop_reason is not EndReason.BUDGET_EXHAUSTED:
        return move
    return _with(move, ordered_stop_at=None, ordered_stop_reason=None)


def _with(move: Move, **changed: Any) -> Move:
    return replace(move, session=msgspec.structs.replace(move.session, **changed))
