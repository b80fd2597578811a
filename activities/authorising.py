"""Holding the budget for what a session is about to cost: each slice is authorised in the ledger before it begins."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec

from activities.turn import AFTER_DEADLINE_S, Decided, LedgerMove, Move, Turn
from shared.domain.admission import Book
from shared.domain.budget import cost_in_month, covered, renewal_due_at
from shared.domain.pricing import worst_case
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
    warn = timedelta(minutes=max(session.warn_minutes, default=0.0))
    return renewal_due_at(session.authorised_until or turn.now, turn.world.settings.window, warn)


def _until(at: datetime, now: datetime, at_most_s: float) -> float:
    return max(AFTER_DEADLINE_S, min(at_most_s, (at - now).total_seconds() + AFTER_DEADLINE_S))


def _renewed(turn: Turn, move: Move, book: Book) -> Decided:
    """Hold the next slice, or order the stop where the budget does not bear it or there is no price to hold by."""
    if book.hard_budget is None:
        return Decided(move=_called_off(move), ledger=book.ledger)
    session, name = move.session, move.session.session
    rate = session.rate or book.rates.get(session.gpu_type)
    accrued = cost_in_month(session, turn.now) or Decimal(0)
    needed = accrued + worst_case(rate, book.slice) if rate is not None else None
    if needed is None or not covered(book.ledger, book.hard_budget, name, needed):
        return Decided(move=_ordered(turn, move), ledger=book.ledger.accruing({name: accrued}))
    held = _with(_called_off(move), authorised_until=turn.now + book.slice)
    held = replace(held, pause_s=_until(_due_at(turn, held.session), turn.now, move.pause_s))
    return Decided(move=held, ledger=book.ledger.authorising(name, needed, accrued=accrued))


def _ordered(turn: Turn, move: Move) -> Move:
    stop_at = move.session.authorised_until or turn.now
    stopping = _with(move, ordered_stop_at=stop_at, ordered_stop_reason=EndReason.BUDGET_EXHAUSTED)
    return replace(stopping, pause_s=_until(stop_at, turn.now, move.pause_s))


def _called_off(move: Move) -> Move:
    if move.session.ordered_stop_reason is not EndReason.BUDGET_EXHAUSTED:
        return move
    return _with(move, ordered_stop_at=None, ordered_stop_reason=None)


def _with(move: Move, **changed: Any) -> Move:
    return replace(move, session=msgspec.structs.replace(move.session, **changed))
