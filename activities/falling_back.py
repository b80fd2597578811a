"""Going on to the next place: a region without a GPU is left behind, its app cleared away, the next one tried.

The session keeps its place in the ledger meanwhile. Only one app exists at a time (I3): the next one is created when
Azure has said that the one before is gone.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec

from activities.stopping import clear_away, stop_for
from activities.turn import Decided, LedgerMove, Move, Turn
from shared.domain.admission import Book
from shared.domain.budget import with_next_slice
from shared.domain.events import EventType
from shared.domain.placement import Place, next_place
from shared.domain.pricing import GpuType, metered_seconds
from shared.domain.provisioning import Failure, no_capacity, nowhere
from shared.domain.records import SessionRow, Try
from shared.domain.states import EndReason, Phase

LONGEST_REASON = 240
"""Characters of a try's reason: sixty of them, the most that settings allow, still fit into one column."""


def fail_here(turn: Turn, failure: Failure) -> Move:
    """Return the move after a failure: on to the next place where that may help and there is one, else the stop."""
    session, place = turn.session, present_place(turn.session)
    if failure.lacks_gpu:
        turn.world.memory.note(place, None)
    problem = failure.problem
    tried = Try(
        region=place.region, gpu_type=place.gpu_type, code=problem.code, message=_short(problem.message), at=turn.now
    )
    tries = [*session.tries, tried]
    target = next_for(turn, [*session.tried, place]) if failure.elsewhere else None
    if target is None:
        told = nowhere(problem, [(f"{one.region}/{one.gpu_type}", one.message) for one in tries])
        return stop_for(turn, failure.reason, told, tries=tries, next_region=None, next_gpu_type=None)
    moved = turn.stay(0.0, tries=tries, looks=0, missing_since=None, **_towards(target))
    return replace(moved, event=EventType.TRY_FAILED)


def next_for(turn: Turn, tried: list[Place], *, without: GpuType | None = None) -> Place | None:
    """Return where the session may be tried next, None where nothing is left."""
    session = turn.session
    types = [one for one in session.gpu_types or [session.gpu_type] if one is not without]
    outlook = turn.world.outlook(session.project)
    return next_place(session.regions, types, tried, outlook, turn.now)


def present_place(session: SessionRow) -> Place:
    return Place(session.region or session.regions[0], session.gpu_type)


def move_on(turn: Turn) -> Move | LedgerMove:
    """Clear the app of the last try away; when it is gone, begin at the next place."""
    if (still_there := clear_away(turn)) is not None:
        return still_there
    session = turn.session
    last = msgspec.structs.replace(
        session.tries[-1],
        replica_started_at=session.replica_started_at,
        metered_s=metered_seconds(session.replica_started_at, turn.now),
        rate_per_second=session.rate_per_second,
        currency=session.currency,
        price_source=session.price_source,
    )
    tries = [*session.tries[:-1], last]
    target = Place(session.next_region or session.regions[0], session.next_gpu_type or session.gpu_type)
    if target.gpu_type is session.gpu_type:
        return _begin_at(turn, target, tries)
    return LedgerMove(decide=lambda book: _exchange(turn, book, target, tries))


def _begin_at(turn: Turn, target: Place, tries: list[Try]) -> Move:
    begun = turn.stay(
        0.0,
        region=target.region,
        gpu_type=target.gpu_type,
        attempt=turn.session.attempt + 1,
        tries=tries,
        phase=Phase.CREATING,
        phase_since=turn.now,
        looks=0,
        app_put_at=None,
        replica_started_at=None,
        delete_sent_at=None,
        missing_since=None,
        next_region=None,
        next_gpu_type=None,
        rate_per_second=None,
        currency=None,
    )
    return replace(begun, event=EventType.SESSION_PROVISIONING, again=True)


def _exchange(turn: Turn, book: Book, target: Place, tries: list[Try]) -> Decided:
    """Give the GPU of one type back and take one of another, where cap and budget bear it; else go on without it."""
    session = turn.session
    begun, in_the_way = _begin_at(turn, target, tries), _in_the_way(book, target)
    held = with_next_slice(book, begun.session, target.gpu_type, turn.now) if book.hard_budget else book.ledger
    if in_the_way is None and held is not None:
        ledger = held.without_one(session.gpu_type, session.user).with_one(target.gpu_type, session.user)
        until = turn.now + book.slice if book.hard_budget else session.authorised_until
        begun = replace(begun, session=msgspec.structs.replace(begun.session, authorised_until=until))
        return Decided(move=begun, ledger=ledger)
    other = next_for(turn, [Place(one.region, one.gpu_type) for one in tries], without=target.gpu_type)
    if other is not None and other.gpu_type is session.gpu_type:
        return Decided(move=_begin_at(turn, other, tries), ledger=book.ledger)
    listed = [(f"{one.region}/{one.gpu_type}", one.message) for one in tries]
    listed.append((str(target), in_the_way or f"the project's budget does not bear {target.gpu_type} GPUs"))
    stop = stop_for(
        turn,
        EndReason.NO_CAPACITY,
        nowhere(no_capacity("").problem, listed),
        tries=tries,
        replica_started_at=None,  # what it cost here is in the last try: it counts once
        next_region=None,
        next_gpu_type=None,
    )
    return Decided(move=stop, ledger=book.ledger)


def _in_the_way(book: Book, target: Place) -> str | None:
    """Return why the project's caps leave no GPU of the other type, None where there is one."""
    cap = book.settings.cap_of_type(target.gpu_type) or 0
    in_use = book.ledger.by_type.get(target.gpu_type, 0) >= cap
    return f"all {cap} {target.gpu_type} GPUs of this project are in use" if in_use else None


def _towards(target: Place) -> dict[str, Any]:
    return {"next_region": target.region, "next_gpu_type": target.gpu_type, "delete_sent_at": None}


def _short(message: str) -> str:
    """Return the message no longer than what every place may have in the session's row."""
    return message if len(message) <= LONGEST_REASON else f"{message[: LONGEST_REASON - 1]}…"
