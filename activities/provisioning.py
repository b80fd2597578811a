"""Provisioning: make the app exist, look how far it has come, and prove the GPU before anyone is let in."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

from activities.stopping import stop_for, stop_if_told
from activities.turn import Move, Turn, changed_shells, end_of, holding_pause_s, take_turn
from shared.domain import names
from shared.domain.events import EventType
from shared.domain.pricing import SHAPES
from shared.domain.provisioning import (
    PHASE_OF,
    AppSeen,
    Failure,
    app_lost,
    failure_of_deadline,
    failure_seen,
    furthest,
    gpu_missing,
    limit_of,
    seconds_to_next_look,
)
from shared.domain.records import SessionRow
from shared.domain.states import Phase, SessionState
from shared.ports.clock import elapsed_s
from shared.ports.container_apps import Accepted, AppSpec, ArmUnknown, Gone, GpuProved, Later, NoGpu
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
    if session.stop_reason is not None:
        return stop_for(turn, session.stop_reason, None)
    if session.app_put_at is not None:
        return turn.stay(0.0)  # an earlier driver asked for it: look at once
    world.sessions.note_project(session.project, session.session)
    asked_at_s = elapsed_s()
    match world.apps.create(app_spec(world, session)):
        case Accepted():
            if elapsed_s() - asked_at_s > HELD_UP_S or world.now() - turn.now > timedelta(seconds=HELD_UP_S):
                _undo_if_too_late(turn)
            return turn.stay(seconds_to_next_look(0, Phase.CREATING), app_put_at=turn.now, looks=1)
        case Later(after_s=after_s, why=why):
            return _past_deadline(turn, Phase.CREATING, why) or replace(turn.stay(after_s), again=True)
        case Failure() as failure:
            return stop_for(turn, failure.reason, failure.problem)


def _undo_if_too_late(turn: Turn) -> None:
    """Delete what this very call has created where the session ended meanwhile: a late worker's app has no owner."""
    stored = turn.world.sessions.session(turn.session.project, turn.session.session)
    if stored is None or stored.row.state is SessionState.ENDED:
        turn.world.apps.delete(names.app_name(turn.session.session))


def app_spec(world: World, session: SessionRow) -> AppSpec:
    """Return the session's app. Its `expires` tag lets a janitor end it with the control plane dead (I6)."""
    shape = SHAPES[session.gpu_type]
    region = session.region or session.regions[0]
    expires_at = session.created_at + timedelta(seconds=session.max_lifetime_s) + EXPIRY_MARGIN
    return AppSpec(
        name=names.app_name(session.session),
        region=region,
        environment_id=world.settings.environments[region],
        profile=shape.profile,
        image=session.image,
        cpu=float(shape.vcpu),
        memory_gib=shape.memory_gib,
        tags={
            "devboxgpu-session": session.session,
            "devboxgpu-project": session.project,
            "devboxgpu-owner": session.user,
            "devboxgpu-control-plane": world.settings.platform_name,
            "devboxgpu-expires": expires_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        },
    )


def _look(turn: Turn) -> Move:
    if (stopped := stop_if_told(turn)) is not None:
        return stopped
    phase = turn.session.phase or Phase.CREATING
    try:
        seen = turn.world.apps.look(names.app_name(turn.session.session))
        if isinstance(seen, Gone):
            return missing_app(turn)
        if (failure := failure_seen(seen)) is not None:
            return stop_for(turn, failure.reason, failure.problem)
        phase = furthest(turn.session.phase, PHASE_OF[seen.condition])
        if PHASE_OF[seen.condition] is Phase.VERIFYING_GPU:
            return _prove(turn, seen)
    except ArmUnknown as unknown:
        pause_s = max(unknown.retry_after_s, seconds_to_next_look(turn.session.looks))
        return _past_deadline(turn, phase, str(unknown)) or turn.stay(pause_s, looks=turn.session.looks + 1)
    return _past_deadline(turn, phase, seen.detail) or _again(turn, phase, seen)


def missing_app(turn: Turn) -> Move:
    """The app that Azure accepted is not there: once may be the service's lag, twice is a deletion behind our back."""
    region = turn.session.region or turn.session.regions[0]
    if turn.session.missing_since is None:
        return turn.stay(MISSING_AGAIN_S, missing_since=turn.now)
    if not turn.world.apps.surely_gone(names.app_name(turn.session.session), turn.world.settings.environments[region]):
        return turn.stay(MISSING_AGAIN_S, missing_since=None)
    lost = app_lost()
    return stop_for(turn, lost.reason, lost.problem)


def _prove(turn: Turn, seen: AppSeen) -> Move:
    match turn.world.apps.prove_gpu(names.app_name(turn.session.session), seen.exec_url):
        case GpuProved():
            return _run(turn, seen)
        case NoGpu(shown=shown):
            failure = gpu_missing(shown)
            return stop_for(turn, failure.reason, failure.problem)
        case not_yet:
            return _past_deadline(turn, Phase.VERIFYING_GPU, not_yet.why) or _again(turn, Phase.VERIFYING_GPU, seen)


def _run(turn: Turn, seen: AppSeen) -> Move:
    """The session runs from now on. Each shell's row learns what a renewal must answer from it alone."""
    session, shells = turn.session, turn.shells
    move = turn.go(
        SessionState.RUNNING,
        EventType.SESSION_STARTED,
        changes=changed_shells(
            shells,
            running_at=turn.now,
            idle_timeout_s=session.idle_timeout_s,
            max_lifetime_s=session.max_lifetime_s,
        ),
        running_at=turn.now,
        replica_started_at=session.replica_started_at or seen.replica_started_at or turn.now,
        phase=None,
        phase_since=turn.now,
        missing_since=None,
    )
    return replace(move, pause_s=holding_pause_s(turn, end_of(move.session, shells)))


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
    """Return the stop of a phase that has taken too long, None while it may go on."""
    session = turn.session
    if phase is not session.phase or session.phase_since is None:
        return None
    if turn.now - session.phase_since < limit_of(phase, turn.world.settings.phase_limit_scale):
        return None
    failure = failure_of_deadline(phase, detail)
    return stop_for(turn, failure.reason, failure.problem)
