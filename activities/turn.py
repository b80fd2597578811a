"""One step of a driver over one session: read the rows, act, write what came of it, all or nothing.

What every step shares is here, so that the steps hold nothing but their own verb: the fence (an older epoch is
refused), the round (a step that is delivered again late writes nothing), the name of the wait that follows, and the
removal of the wake-ups that this step has seen (durable-measured.md section 9, rules 1 to 4).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

import msgspec

from shared.domain.admission import Book
from shared.domain.driving import Facts, Order
from shared.domain.events import EventType
from shared.domain.lease import Deadline, deadline, soonest_decision
from shared.domain.ledger import Ledger
from shared.domain.line import Waiter
from shared.domain.measures import measures_of_move
from shared.domain.quiet import quiet_seen
from shared.domain.records import SessionRow, ShellRow, hold_facts, ordered_end
from shared.domain.states import EndReason, SessionState, check_transition
from shared.ports.book_keeping import Entry
from shared.ports.outgoing import CONTROL_PLANE, ledger_facts, outbox
from shared.ports.sessions import SessionView, session_update, taken_wakes, until_settled
from shared.ports.tables import Change, Stored, Update
from shared.ports.world import World

LONGEST_PAUSE = timedelta(hours=20)
AFTER_DEADLINE_S = 1.0
"""Durable timers fire up to a second early (durable-measured.md 0): a look is set so that it is due when it comes."""


class SessionMissing(Exception):
    """A driver was started for a session that has no row."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """What a step wants written: the session as it shall be, what else changes with it, and the pause that follows."""

    session: SessionRow
    pause_s: float = 0.0
    changes: tuple[Change, ...] = ()
    event: EventType | None = None
    again: bool = False


@dataclass(frozen=True, kw_only=True)
class Turn:
    """A step's surroundings: the ports, the order it was given, the rows as read, and the instant of this turn."""

    world: World
    order: Order
    view: SessionView
    now: datetime

    @property
    def session(self) -> SessionRow:
        return self.view.session.row

    def stay(self, pause_s: float, changes: tuple[Change, ...] = (), **changed: Any) -> Move:
        """Return a move that leaves the state as it is."""
        return Move(session=msgspec.structs.replace(self.session, **changed), pause_s=pause_s, changes=changes)

    def go(self, state: SessionState, event: EventType, *, changes: tuple[Change, ...] = (), **changed: Any) -> Move:
        """Return a move to another state, with its event and audit entry."""
        check_transition(self.session.state, state)
        row = msgspec.structs.replace(self.session, state=state, seq=self.session.seq + 1, looks=0, **changed)
        return Move(session=row, changes=changes, event=event)

    @cached_property
    def shells(self) -> list[Stored[ShellRow]]:
        """The session's shells, read after its row and once a turn: a stop guards what it was decided on (I8)."""
        return self.world.sessions.shells_in(self.session)

    def shell_updates(self, **changed: Any) -> tuple[Change, ...]:
        """Return the same change to every shell of the session, each only if it is still as it was read."""
        return changed_shells(self.shells, **changed)

    def end(self) -> Deadline:
        """Return when, and why, this session stops if nothing more happens."""
        return end_of(self.session, self.shells)

    def reason_to_stop(self) -> EndReason | None:
        """Return the reason that a command, a closed shell, a lapsed lease, idleness or age gives to stop now."""
        if self.session.stop_reason is not None:
            return self.session.stop_reason
        ordered = ordered_end(self.session)
        if ordered is not None and ordered.at <= self.now:
            return ordered.reason
        opening = self.session.running_at is None
        if opening and self.session.leased_until is not None and self.now < self.session.leased_until:
            return None  # a shell that is closed has left its reason in the session's row
        end = self.end()
        return end.reason if end.at <= self.now else None


def changed_shells(shells: list[Stored[ShellRow]], **changed: Any) -> tuple[Change, ...]:
    """Return the same change to every one of these shells, each only if it is still as it was read."""
    return tuple(Update(shell.key, msgspec.structs.replace(shell.row, **changed), shell.etag) for shell in shells)


def end_of(session: SessionRow, shells: list[Stored[ShellRow]]) -> Deadline:
    """Return when, and why, a session with these shells stops if nothing more happens."""
    grace = timedelta(seconds=session.lease_grace_s)
    return deadline(hold_facts(session, [shell.row for shell in shells], grace))


def soonest_decision_of(session: SessionRow, shells: list[Stored[ShellRow]], now: datetime) -> datetime:
    """Return when a session with these shells may have to be stopped at the soonest, whatever they report."""
    grace = timedelta(seconds=session.lease_grace_s)
    return soonest_decision(hold_facts(session, [shell.row for shell in shells], grace), now)


def holding_pause_s(turn: Turn, until: datetime) -> float:
    """Return for how long a session may be left alone: until something may be due, and no longer than the window."""
    left = until - turn.now + timedelta(seconds=AFTER_DEADLINE_S)
    return max(AFTER_DEADLINE_S, min(left, turn.world.settings.window).total_seconds())


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """A move with what it makes of the ledger and of the line."""

    move: Move
    ledger: Ledger
    joins: Waiter | None = None
    leaves: Waiter | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerMove:
    """A move that changes the ledger too, decided when its turn at the ledger has come. It may be decided again."""

    decide: Callable[[Book], Decided]


Body = Callable[[Turn], Move | LedgerMove]


def take_turn(world: World, wire: dict[str, Any], states: frozenset[SessionState], body: Body) -> dict[str, Any]:
    """Carry a step out where the session is in one of its states; return the facts that the driver goes by.

    In any other state nothing is done: the step has happened before, or the session has moved on.
    """
    order = msgspec.convert(wire, Order)

    def attempt() -> Facts | None:
        view = world.sessions.view(order.project, order.session)
        if view is None:
            raise SessionMissing(f"project {order.project} has no session {order.session}")
        row = view.session.row
        if row.epoch != order.epoch:
            return Facts(state=row.state, superseded=True)
        if order.round <= row.round or row.finished:
            return facts_of(Move(session=row))
        turn = Turn(world=world, order=order, view=view, now=world.now())
        move = body(turn) if row.state in states else turn.stay(0.0)
        if isinstance(move, LedgerMove):
            return _enter(turn, move)
        if not world.sessions.commit(order.project, _changes(turn, move)):
            return None
        _measure(turn, move)
        return facts_of(move)

    return until_settled(attempt).to_wire()


def facts_of(move: Move) -> Facts:
    return Facts(state=move.session.state, pause_s=move.pause_s, finished=move.session.finished, again=move.again)


def _enter(turn: Turn, move: LedgerMove) -> Facts | None:
    """Write a move together with the ledger; None where the session has changed meanwhile."""
    chosen: list[Move] = []

    def request(book: Book) -> Entry:
        decided = move.decide(book)
        chosen.append(decided.move)
        changes = _changes(turn, decided.move, ledger_facts(book))
        return Entry(decided.ledger, changes, joins=decided.joins, leaves=decided.leaves)

    if not turn.world.sessions.ledgers.enter(turn.order.project, request):
        return None
    _measure(turn, chosen[-1])
    return facts_of(chosen[-1])


def _measure(turn: Turn, move: Move) -> None:
    turn.world.telemetry.measure(measures_of_move(turn.session, move.session, turn.now))


def _changes(turn: Turn, move: Move, more: dict[str, object] | None = None) -> list[Change]:
    """Return all that a move writes, marked with this turn: its round, the next wait's name, the wake-ups seen."""
    pause = min(timedelta(seconds=move.pause_s), LONGEST_PAUSE)
    row = msgspec.structs.replace(
        move.session,
        round=turn.order.round,
        wake=turn.order.wake,
        wakes=0,
        next_look_at=turn.now + pause,
        **_activity_seen(turn),
    )
    changes: list[Change] = [session_update(turn.view.session, row), *move.changes, *taken_wakes(turn.view)]
    if move.event is not None:
        changes.append(outbox(move.event, row, CONTROL_PLANE, turn.now, more))
    return changes


def _activity_seen(turn: Turn) -> dict[str, Any]:
    """Return what a look at a running session's shells tells of its quiet; the step has read them already."""
    if turn.session.state is not SessionState.RUNNING:
        return {}
    return quiet_seen(turn.session, [shell.row for shell in turn.shells], turn.now)
