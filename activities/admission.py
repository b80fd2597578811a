"""Admission: the one transaction in which a session gets its place in the ledger, or is refused."""

from __future__ import annotations

from typing import Any

from activities.stopping import TOLD
from activities.turn import LedgerMove, Move, Turn, take_turn
from shared.domain.admission import Ledger, Wish, refusal
from shared.domain.errors import Problem
from shared.domain.events import EventType
from shared.domain.pricing import Rate
from shared.domain.settings import GpuSettings
from shared.domain.states import EndReason, Phase, SessionState
from shared.ports.world import World


def admit_session(wire: dict[str, Any], world: World) -> dict[str, Any]:
    """Reserve the session's GPU, or end it as refused or cancelled. A session that is past this is left as it is."""
    return take_turn(world, wire, frozenset({SessionState.REQUESTED}), _admit)


def _admit(turn: Turn) -> Move | LedgerMove:
    if (reason := turn.reason_to_stop()) is not None:
        return _end(turn, reason, None)
    session = turn.session
    wish = Wish(user=session.user, gpu_type=session.gpu_type)
    rate = turn.world.prices.rate(session.regions[0], session.gpu_type)

    def decide(policy: GpuSettings, ledger: Ledger) -> tuple[Ledger, Move]:
        refused = refusal(policy, ledger, wish)
        if refused is not None:
            return ledger, _end(turn, EndReason.REFUSED, refused)
        return ledger.with_one(session.gpu_type, session.user), _begin(turn, policy, rate)

    return LedgerMove(decide=decide)


def _begin(turn: Turn, policy: GpuSettings, rate: Rate | None) -> Move:
    """Return the move of a session that has its place: policy and price are pinned now."""
    return turn.go(
        SessionState.PROVISIONING,
        EventType.SESSION_PROVISIONING,
        holds=1,
        attempt=1,
        region=turn.session.regions[0],
        phase=Phase.CREATING,
        phase_since=turn.now,
        idle_timeout_s=policy.idle.timeout_minutes * 60,
        max_lifetime_s=policy.max_lifetime_minutes * 60,
        lease_grace_s=policy.idle.grace_minutes * 60,
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
