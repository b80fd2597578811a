"""Provisioning: make the app exist, look how far it has come, and prove the GPU before anyone is let in."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

from activities.authorising import within_budget
from activities.falling_back import fail_here, move_on, next_for, present_place
from activities.stopping import stop_for, stop_if_told
from activities.turn import LedgerMove, Move, Turn, changed_shells, holding_pause_s, soonest_decision_of, take_turn
from shared.domain import names
from shared.domain.events import EventType
from shared.domain.pricing import SHAPES, GpuType, Rate
from shared.domain.provisioning import (
    PATIENCE_WHEN_REFUSED,
    PHASE_LIMIT,
    PHASE_OF,
    AppCondition,
    AppSeen,
    Failure,
    app_lost,
    failure_of_deadline,
    failure_seen,
    furthest,
    gpu_missing,
    no_capacity,
    says_no_capacity,
    seconds_to_next_look,
)
from shared.domain.records import SessionRow, limits_of
from shared.domain.states import Phase, SessionState
from shared.ports.clock import elapsed_s
from shared.ports.container_apps import (
    PLATFORM_TAG,
    PROJECT_TAG,
    Accepted,
    AppSpec,
    ArmUnknown,
    Gone,
    GpuProved,
    Later,
    NoGpu,
)
from shared.ports.world import World

PROVISIONING = frozenset({SessionState.PROVISIONING})
MISSING_AGAIN_S = 1.0
HELD_UP_S = 1.0
EXPIRY_MARGIN = timedelta(minutes=15)


def create_app(wire: dict[str, Any], world: World) -> dict[str, Any]:
    """Ask Azure for the session's app. The name is the session's: a second run finds the first one's app."""
    return take_turn(world, wire, PROVISIONING, create)


def look_at_app(wire: dict[str, Any], world: World) -> dict[str, Any]:
    """Look how far the app has come; once its container runs, prove the GPU and let the session run."""
    return take_turn(world, wire, PROVISIONING, _look)


def create(turn: Turn) -> Move:
    """Return the move that follows from asking Azure for the app."""
    session, world = turn.session, turn.world
    if (stopped := stop_if_told(turn)) is not None:
        return stopped  # a client that has gone away while it waited in line gives its place on
    if session.app_put_at is not None or session.next_region is not None:
        return turn.stay(0.0)  # an earlier driver asked for it, or it is to be tried elsewhere: look at once
    world.sessions.note_project(session.project, session.session)
    asked_at_s = elapsed_s()
    match world.apps.create(app_spec(world, session)):
        case Accepted():
            if elapsed_s() - asked_at_s > HELD_UP_S or world.now() - turn.now > timedelta(seconds=HELD_UP_S):
                _undo_if_too_late(turn)
            rate = session.rate or world.prices.known(*_priced(session))
            return turn.stay(seconds_to_next_look(0, Phase.CREATING), app_put_at=turn.now, looks=1, **pinned_rate(rate))
        case Later(after_s=after_s, why=why):
            return _past_deadline(turn, Phase.CREATING, why) or replace(turn.stay(after_s), again=True)
        case Failure() as failure:
            return fail_here(turn, failure)


def _priced(session: SessionRow) -> tuple[str, GpuType]:
    place = present_place(session)
    return place.region, place.gpu_type


def pinned_rate(rate: Rate | None) -> dict[str, Any]:
    """Return the columns that pin a price: a later change of the list does not change a session's cost (E11)."""
    if rate is None:
        return {}
    return {"rate_per_second": rate.amount_per_second, "currency": rate.currency, "price_source": rate.source}


def _undo_if_too_late(turn: Turn) -> None:
    """Delete what this very call has created where the session has ended or moved on: a late app has no owner."""
    stored = turn.world.sessions.session(turn.session.project, turn.session.session)
    if stored is None or stored.row.state is SessionState.ENDED or stored.row.attempt != turn.session.attempt:
        turn.world.apps.delete(names.app_name(turn.session.session))


def app_spec(world: World, session: SessionRow) -> AppSpec:
    """Return the session's app. Its `expires` tag lets a janitor end it with the control plane dead (I6)."""
    shape = SHAPES[session.gpu_type]
    longest = timedelta(seconds=session.max_lifetime_s + session.extend_limit_s)
    expires_at = (session.held_from or session.created_at) + longest + EXPIRY_MARGIN
    return AppSpec(
        name=names.app_name(session.session),
        region=present_place(session).region,
        environment_id=world.environment_of(session),
        profile=shape.profile,
        image=session.image,
        cpu=float(shape.vcpu),
        memory_gib=shape.memory_gib,
        registry=session.registry,
        pull_identity=session.pull_identity,
        tags={
            "devboxgpu-session": session.session,
            PROJECT_TAG: session.project,
            "devboxgpu-owner": session.user,
            PLATFORM_TAG: world.settings.platform_name,
            "devboxgpu-expires": expires_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        },
    )


def _look(turn: Turn) -> Move | LedgerMove:
    if (stopped := stop_if_told(turn)) is not None:
        return stopped
    if turn.session.next_region is not None:
        return move_on(turn)
    if turn.session.app_put_at is None:
        return replace(turn.stay(0.0), again=True)  # begun at another place, and the word of it was lost on its way
    phase = turn.session.phase or Phase.CREATING
    try:
        seen = turn.world.apps.look(names.app_name(turn.session.session))
        if isinstance(seen, Gone):
            return missing_app(turn)
        if (failure := failure_seen(seen)) is not None:
            return fail_here(turn, failure)
        phase = furthest(turn.session.phase, PHASE_OF[seen.condition])
        if PHASE_OF[seen.condition] is Phase.VERIFYING_GPU:
            return _prove(turn, seen)
    except ArmUnknown as unknown:
        pause_s = max(unknown.retry_after_s, seconds_to_next_look(turn.session.looks))
        return _past_deadline(turn, phase, str(unknown)) or turn.stay(pause_s, looks=turn.session.looks + 1)
    stopped = _refused(turn, phase, seen) or _past_deadline(turn, phase, seen.detail)
    return stopped or within_budget(turn, _again(turn, phase, seen))


def _refused(turn: Turn, phase: Phase, seen: AppSeen) -> Move | None:
    """Leave a place early where Azure says that it has no GPU and there is another; alone it is waited for."""
    session = turn.session
    if phase is not Phase.ASSIGNING or not _lasts(turn, phase, PATIENCE_WHEN_REFUSED):
        return None
    if next_for(turn, [*session.tried, present_place(session)]) is None:
        return None
    said = seen.detail if seen.detail else turn.world.apps.troubles(names.app_name(session.session))
    if seen.condition is AppCondition.REPLICA_REFUSED or says_no_capacity(said):
        return fail_here(turn, no_capacity(said))
    return None


def missing_app(turn: Turn) -> Move:
    """The app that Azure accepted is not there: once may be the service's lag, twice is a deletion behind our back."""
    if turn.session.missing_since is None:
        return turn.stay(MISSING_AGAIN_S, missing_since=turn.now)
    if not turn.world.apps.surely_gone(names.app_name(turn.session.session), turn.world.environment_of(turn.session)):
        return turn.stay(MISSING_AGAIN_S, missing_since=None)
    lost = app_lost()
    return stop_for(turn, lost.reason, lost.problem)


def _prove(turn: Turn, seen: AppSeen) -> Move:
    match turn.world.apps.prove_gpu(names.app_name(turn.session.session), seen.exec_url):
        case GpuProved():
            return _run(turn, seen)
        case NoGpu(shown=shown):
            return fail_here(turn, gpu_missing(shown))
        case not_yet:
            return _past_deadline(turn, Phase.VERIFYING_GPU, not_yet.why) or _again(turn, Phase.VERIFYING_GPU, seen)


def _run(turn: Turn, seen: AppSeen) -> Move:
    """The session runs from now on. Each shell's row learns what a renewal must answer from it alone."""
    session, shells, place = turn.session, turn.shells, present_place(turn.session)
    rate = session.rate or turn.world.prices.rate(place.region, place.gpu_type)
    began = next((one.at for one in reversed(session.tries)), session.held_from or session.created_at)
    turn.world.memory.note(place, (turn.now - began).total_seconds())
    move = turn.go(
        SessionState.RUNNING,
        EventType.SESSION_STARTED,
        changes=changed_shells(shells, running_at=turn.now, **limits_of(session)),
        running_at=turn.now,
        replica_started_at=session.replica_started_at or seen.replica_started_at or turn.now,
        phase=None,
        phase_since=turn.now,
        missing_since=None,
        **pinned_rate(rate),
    )
    return replace(move, pause_s=holding_pause_s(turn, soonest_decision_of(move.session, shells, turn.now)))


def _again(turn: Turn, phase: Phase, seen: AppSeen) -> Move:
    session = turn.session
    moved_on = phase is not session.phase
    looks = 0 if moved_on else session.looks
    return turn.stay(
        seconds_to_next_look(looks, phase),
        phase=phase,
        phase_since=turn.now if moved_on else session.phase_since,
        looks=looks + 1,
        missing_since=None,
        replica_started_at=session.replica_started_at or seen.replica_started_at,
    )


def _past_deadline(turn: Turn, phase: Phase, detail: str) -> Move | None:
    """Return what follows where a phase has taken too long, None while it may go on."""
    if not _lasts(turn, phase, PHASE_LIMIT[phase]):
        return None
    said = detail
    if phase is Phase.ASSIGNING and not said:
        said = turn.world.apps.troubles(names.app_name(turn.session.session))
    return fail_here(turn, failure_of_deadline(phase, said))


def _lasts(turn: Turn, phase: Phase, limit: timedelta) -> bool:
    """Tell whether the session has been in this phase for so long; the setting that shortens limits is applied."""
    session = turn.session
    if phase is not session.phase or session.phase_since is None:
        return False
    return turn.now - session.phase_since >= limit * turn.world.settings.phase_limit_scale
