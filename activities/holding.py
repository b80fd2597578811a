"""Holding: a running session is looked after at its next deadline, and whenever somebody asks for something."""

from __future__ import annotations

from typing import Any

import msgspec

from activities.provisioning import missing_app
from activities.stopping import stop_if_told
from activities.turn import Move, Turn, holding_pause_s, take_turn
from shared.domain import names
from shared.domain.states import SessionState
from shared.ports.container_apps import ArmUnknown, Gone
from shared.ports.sessions import SessionView
from shared.ports.tables import Stored
from shared.ports.world import World


def tend_session(wire: dict[str, Any], world: World) -> dict[str, Any]:
    """Stop the session if there is a reason to, else return how long it may be left alone."""
    return take_turn(world, wire, frozenset({SessionState.RUNNING}), _tend)


def _tend(turn: Turn) -> Move:
    turn = _under_present_policy(turn)
    if (stopped := stop_if_told(turn)) is not None:
        return stopped
    try:
        if isinstance(turn.world.apps.look(names.app_name(turn.session.session)), Gone):
            return missing_app(turn)
    except ArmUnknown:
        pass  # unknown is not gone: the session goes on, and is looked at again
    return turn.stay(holding_pause_s(turn, turn.end()), missing_since=None)


def _under_present_policy(turn: Turn) -> Turn:
    """Return the turn with limits as tight as the project's settings are now; looser ones do not extend (E11)."""
    stored = turn.world.sessions.settings(turn.session.project)
    if stored is None:
        return turn
    settings, session = stored.row.settings, turn.session
    tightened = msgspec.structs.replace(
        session,
        idle_timeout_s=min(session.idle_timeout_s, settings.idle.timeout_minutes * 60),
        max_lifetime_s=min(session.max_lifetime_s, settings.max_lifetime_minutes * 60),
    )
    if tightened == session:
        return turn
    view = turn.view
    changed = Stored(view.session.key, tightened, view.session.etag)
    return Turn(world=turn.world, order=turn.order, view=SessionView(changed, view.wakes), now=turn.now)
