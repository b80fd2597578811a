"""Admission: the one transaction in which a session gets its place in the ledger, or is refused."""

from __future__ import annotations

from typing import Any

from activities.stopping import TOLD
from activities.turn import Move, Turn, take_turn
from shared.domain.admission import Wish, refusal
from shared.domain.errors import Problem
from shared.domain.events import EventType
from shared.domain.states import EndReason, Phase, SessionState
from shared.ports.sessions import ledger_of, ledger_update
from shared.ports.tables import StorageUnavailable
from shared.ports.world import World


def admit_session(wire: dict[str, Any], world: World) -> dict[str, Any]:
    """Reserve the session's GPU, or end it as refused or cancelled. A session that is past this is left as it is."""
    with world.sessions.lock(wire["project"]):
        return take_turn(world, wire, frozenset({SessionState.REQUESTED}), _decide)


def _decide(turn: Turn) -> Move:
    session, sessions = turn.session, turn.world.sessions
    if (reason := turn.reason_to_stop()) is not None:
        return _end(turn, reason, None)
    ledger = sessions.ledger(session.project)
    if ledger is None:
        raise StorageUnavailable(f"project {session.project} has no ledger")
    settings = ledger.row.policy
    refused = refusal(settings, ledger_of(ledger.row), Wish(user=session.user, gpu_type=session.gpu_type))
    if refused is not None:
        return _end(turn, EndReason.REFUSED, refused)
    rate = turn.world.prices.rate(session.regions[0], session.gpu_type)
    booked = ledger_of(ledger.row).with_one(session.gpu_type, session.user)
    return turn.go(
        SessionState.PROVISIONING,
        EventType.SESSION_PROVISIONING,
        changes=(ledger_update(ledger, booked),),
        holds=1,
        attempt=1,
        region=session.regions[0],
        phase=Phase.CREATING,
        phase_since=turn.now,
        idle_timeout_s=settings.idle.timeout_minutes * 60,
        max_lifetime_s=settings.max_lifetime_minutes * 60,
        lease_grace_s=settings.idle.grace_minutes * 60,
        rate_per_second=rate.amount_per_second if rate else None,
        currency=rate.currency if rate else None,
    )


def _end(turn: Turn, reason: EndReason, problem: Problem | None) -> Move:
    """End a session that never held a GPU. To be cancelled or given up is no error."""
    message = problem.message if problem else TOLD.get(reason, "")
    return turn.go(
        SessionState.ENDED,
        EventType.SESSION_ENDED,
        changes=turn.shell_updates(stop_reason=reason, stop_message=message),
        ended_at=turn.now,
        end_reason=reason,
        error_code=problem.code if problem else None,
        error_message=problem.message if problem else None,
        metered_s=0,
        phase=None,
    )
