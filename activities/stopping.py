"""Stopping: from the first reason to stop until Azure itself says that the app is gone. Only then is the GPU free."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from activities.turn import Decided, LedgerMove, Move, Turn, take_turn
from shared.domain import names
from shared.domain.admission import Book
from shared.domain.billing import seconds_so_far
from shared.domain.budget import accrued_in
from shared.domain.errors import Problem
from shared.domain.events import EventType
from shared.domain.provisioning import AppSeen, seconds_to_next_look
from shared.domain.states import EndReason, SessionState
from shared.ports.container_apps import Accepted, ArmUnknown, Gone, Later
from shared.ports.world import World

STOPPING = frozenset({SessionState.STOPPING})
DELETE_AGAIN_AFTER = timedelta(minutes=5)

TOLD: dict[EndReason, str] = {
    EndReason.SHELLS_CLOSED: "Its last shell was closed.",
    EndReason.LEASE_LAPSED: "The terminal was not heard of for too long, so the session was stopped.",
    EndReason.IDLE: "Stopped: nothing was typed, printed or computed for the project's idle time.",
    EndReason.MAX_LIFETIME: "Stopped: the session reached the project's longest life.",
    EndReason.STOPPED_BY_USER: "Stopped by its owner.",
    EndReason.STOPPED_BY_ADMINISTRATOR: "Stopped by an administrator.",
    EndReason.BUDGET_EXHAUSTED: "Stopped: the project's budget of this month is used up.",
    EndReason.PROJECT_DISABLED: "Stopped: GPU sessions were disabled for the project.",
    EndReason.CANCELLED: "Cancelled before it was ready.",
}


def remove_app(wire: dict[str, Any], world: World) -> dict[str, Any]:
    """Delete the session's app; when Azure says that it is gone, release the GPU and end the session."""
    return take_turn(world, wire, STOPPING, _remove)


def stop_if_told(turn: Turn) -> Move | None:
    """Return the stop that is due now; None to go on."""
    reason = turn.reason_to_stop()
    return stop_for(turn, reason, None) if reason is not None else None


def stop_for(turn: Turn, reason: EndReason, problem: Problem | None, **changed: Any) -> Move:
    """Return the move to Stopping. Every shell's row is part of it as it was read: a racing renewal wins (I8)."""
    message = problem.message if problem else TOLD.get(reason, "")
    return turn.go(
        SessionState.STOPPING,
        EventType.SESSION_STOPPING,
        changes=turn.shell_updates(stop_reason=reason, stop_message=message),
        end_reason=reason,
        error_code=problem.code if problem else None,
        error_message=problem.message if problem else None,
        stopping_at=turn.now,
        phase=None,
        missing_since=None,
        **changed,
    )


def _remove(turn: Turn) -> Move | LedgerMove:
    return clear_away(turn) or _release(turn)


def clear_away(turn: Turn) -> Move | None:
    """Delete the session's app. Return the move that waits for its end, None once Azure says that it is gone."""
    session, apps = turn.session, turn.world.apps
    app = names.app_name(session.session)
    try:
        if session.replica_started_at is None and session.delete_sent_at is None:
            seen = apps.look(app)
            if isinstance(seen, AppSeen) and seen.replica_started_at is not None:
                # Written before the delete is sent: a crash in between would lose since when the GPU is paid for.
                return turn.stay(0.0, replica_started_at=seen.replica_started_at)
        if session.delete_sent_at is None or turn.now - session.delete_sent_at > DELETE_AGAIN_AFTER:
            match apps.delete(app):
                case Later(after_s=after_s):
                    return turn.stay(after_s)
                case Accepted():
                    return turn.stay(seconds_to_next_look(0), delete_sent_at=turn.now)
                case Gone():
                    pass
        if apps.surely_gone(app, turn.world.environment_of(session)):
            return None
    except ArmUnknown as unknown:
        pause_s = max(unknown.retry_after_s, seconds_to_next_look(session.looks))
        return turn.stay(pause_s, looks=session.looks + 1)
    return turn.stay(seconds_to_next_look(session.looks + 1), looks=session.looks + 1)


def _release(turn: Turn) -> LedgerMove:
    """End the session and free its place in the ledger, once: `holds` falls with the ledger in one transaction."""
    session = turn.session
    turn.world.environments.outdate(turn.world.environment_of(session))
    ended = turn.go(
        SessionState.ENDED,
        EventType.SESSION_ENDED,
        holds=0,
        ended_at=turn.now,
        metered_s=seconds_so_far(session, turn.now),
    )

    def decide(book: Book) -> Decided:
        ledger = book.ledger.without_one(session.gpu_type, session.user)
        ledger = ledger.settled(session.session, accrued_in(book, session, turn.now))
        if session.held_from is not None and session.running_at is not None:
            ledger = ledger.having_lasted(session.gpu_type, turn.now - session.held_from)
        return Decided(move=ended, ledger=ledger)

    return LedgerMove(decide=decide)
