"""Holding: a running session is looked after at its next deadline, and whenever somebody asks for something."""

from __future__ import annotations

from typing import Any

import msgspec

from activities.provisioning import missing_app
from activities.stopping import stop_if_told
from activities.turn import Move, Turn, changed_shells, holding_pause_s, take_turn
from shared.domain import names
from shared.domain.states import EndReason, SessionState
from shared.ports.container_apps import ArmUnknown, Gone
from shared.ports.sessions import SessionView
from shared.ports.tables import Change, Stored
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
    return turn.stay(holding_pause_s(turn, turn.end()), _announced(turn), missing_since=None)


def _under_present_policy(turn: Turn) -> Turn:
    """Return the turn with limits as tight as the project's settings are now; looser ones do not extend (E11).

    A stop that the settings have announced for all of the project's sessions comes, or is called off, in the same way.
    """
    stored = turn.world.sessions.settings(turn.session.project)
    if stored is None:
        return turn
    settings, session, stop_at = stored.row.settings, turn.session, stored.row.stop_running_at
    longest_s = settings.max_lifetime_minutes * 60 + session.extended_s
    tightened = msgspec.structs.replace(
        session,
        idle_timeout_s=min(session.idle_timeout_s, settings.idle.timeout_minutes * 60),
        max_lifetime_s=min(session.max_lifetime_s, longest_s),
        ordered_stop_at=stop_at,
        ordered_stop_reason=EndReason.PROJECT_DISABLED if stop_at is not None else None,
    )
    if tightened == session:
        return turn
    view = turn.view
    changed = Stored(view.session.key, tightened, view.session.etag)
    return Turn(world=turn.world, order=turn.order, view=SessionView(changed, view.wakes), now=turn.now)


def _announced(turn: Turn) -> tuple[Change, ...]:
    """Return the changes that let every shell's next renewal tell of limits that are other than it knows."""
    session = turn.session
    limits = {
        "idle_timeout_s": session.idle_timeout_s,
        "max_lifetime_s": session.max_lifetime_s,
        "ordered_stop_at": session.ordered_stop_at,
        "ordered_stop_reason": session.ordered_stop_reason,
    }
    outdated = [
        shell for shell in turn.shells if any(getattr(shell.row, name) != value for name, value in limits.items())
    ]
    return changed_shells(outdated, **limits)
