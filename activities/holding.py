"""Holding: a running session is looked after at its next deadline, and whenever somebody asks for something."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import msgspec

from activities.authorising import within_budget
from activities.falling_back import present_place
from activities.provisioning import missing_app, pinned_rate
from activities.stopping import stop_if_told
from activities.turn import (
    AFTER_DEADLINE_S,
    Decided,
    LedgerMove,
    Move,
    Turn,
    changed_shells,
    holding_pause_s,
    soonest_decision_of,
    take_turn,
)
from shared.domain import names
from shared.domain.events import EventType
from shared.domain.lease import if_quiet, planned_end
from shared.domain.records import SessionRow, hold_facts, limits_of
from shared.domain.states import EndReason, SessionState
from shared.ports.container_apps import ArmUnknown, Gone
from shared.ports.sessions import SessionView
from shared.ports.tables import Change, Stored
from shared.ports.world import World

SAME_STOP = timedelta(seconds=30)
"""An idle stop moves by a second or so with every renewal, as clients count whole seconds: it is still the same one."""


def tend_session(wire: dict[str, Any], world: World) -> dict[str, Any]:
    """Stop the session if there is a reason to, else return how long it may be left alone."""
    return take_turn(world, wire, frozenset({SessionState.RUNNING}), _tend)


def _tend(turn: Turn) -> Move | LedgerMove:
    turn = _under_present_policy(turn)
    if (stopped := stop_if_told(turn)) is not None:
        return stopped
    try:
        if isinstance(turn.world.apps.look(names.app_name(turn.session.session)), Gone):
            return missing_app(turn)
    except ArmUnknown:
        pass  # unknown is not gone: the session goes on, and is looked at again
    pause_s = holding_pause_s(turn, soonest_decision_of(turn.session, turn.shells, turn.now))
    move = turn.stay(pause_s, missing_since=None, **_late_price(turn))
    return told_to_shells(turn, within_budget(turn, _foretold(turn, move)))


def _late_price(turn: Turn) -> dict[str, Any]:
    """Return the columns of a price that was not known when the session began, and is by now: all of it has it."""
    if turn.session.rate is not None:
        return {}
    place = present_place(turn.session)
    return pinned_rate(turn.world.prices.known(place.region, place.gpu_type))


def _foretold(turn: Turn, move: Move) -> Move:
    """Tell the world once of an idle stop that is near, and look again when the next one comes near."""
    if not turn.session.warn_minutes:
        return move
    facts = hold_facts(turn.session, [shell.row for shell in turn.shells], timedelta(0))
    ahead = timedelta(minutes=max(turn.session.warn_minutes))
    planned, if_all_is_quiet = planned_end(facts), planned_end(if_quiet(facts))
    for stop in (planned, if_all_is_quiet):
        if stop is not None and stop.reason is EndReason.IDLE and turn.now < stop.at - ahead:
            left_s = (stop.at - ahead - turn.now).total_seconds() + AFTER_DEADLINE_S
            move = replace(move, pause_s=min(move.pause_s, left_s))
    if planned is None or planned.reason is not EndReason.IDLE or turn.now < planned.at - ahead:
        return move
    warned_for = turn.session.warned_for
    if warned_for is not None and abs(planned.at - warned_for) < SAME_STOP:
        return move
    row = msgspec.structs.replace(move.session, warned_for=planned.at)
    return replace(move, session=row, event=EventType.SESSION_IDLE_WARNING)


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
        lease_grace_s=min(session.lease_grace_s, settings.idle.grace_minutes * 60),
        gpu_busy_percent=max(session.gpu_busy_percent, settings.idle.gpu_busy_percent),
        warn_minutes=list(settings.idle.warn_minutes),
    )
    tightened = _told_to_end(tightened, stop_at)
    if tightened == session:
        return turn
    view = turn.view
    changed = Stored(view.session.key, tightened, view.session.etag)
    return Turn(world=turn.world, order=turn.order, view=SessionView(changed, view.wakes), now=turn.now)


def _told_to_end(session: SessionRow, stop_at: datetime | None) -> SessionRow:
    """Return the session with the stop that its settings order, or none; an earlier one of the budget stays."""
    reason = session.ordered_stop_reason
    if stop_at is None:
        off = reason is EndReason.PROJECT_DISABLED
        return msgspec.structs.replace(session, ordered_stop_at=None, ordered_stop_reason=None) if off else session
    if reason is EndReason.BUDGET_EXHAUSTED and session.ordered_stop_at and session.ordered_stop_at <= stop_at:
        return session
    return msgspec.structs.replace(session, ordered_stop_at=stop_at, ordered_stop_reason=EndReason.PROJECT_DISABLED)


def told_to_shells(turn: Turn, move: Move | LedgerMove) -> Move | LedgerMove:
    """Return the move with the changes that let every shell's next renewal tell of limits other than it knows."""
    if isinstance(move, LedgerMove):
        return LedgerMove(decide=lambda book: _told(turn, move.decide(book)))
    return replace(move, changes=(*move.changes, *_announced(turn, move.session)))


def _told(turn: Turn, decided: Decided) -> Decided:
    move = decided.move
    return replace(decided, move=replace(move, changes=(*move.changes, *_announced(turn, move.session))))


def _announced(turn: Turn, session: SessionRow) -> tuple[Change, ...]:
    limits = limits_of(session)
    outdated = [
        shell for shell in turn.shells if any(getattr(shell.row, name) != value for name, value in limits.items())
    ]
    return changed_shells(outdated, **limits)
