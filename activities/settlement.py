"""Settlement: the ended session's seconds and cost are booked once, by UTC day, and its row goes to the history."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from activities.turn import Move, Turn, take_turn
from shared.domain import names
from shared.domain.records import SessionRow
from shared.domain.states import SessionState
from shared.domain.usage import UsageRow, stands_in_for, usage_partition, usage_rows
from shared.ports.tables import Insert, Stored, Tables, Update
from shared.ports.world import World


def settle_session(wire: dict[str, Any], world: World) -> dict[str, Any]:
    """Book the ended session. Rows have names of their own: a second run finds the first one's."""
    return take_turn(world, wire, frozenset({SessionState.ENDED}), _settle)


def _settle(turn: Turn) -> Move:
    session, tables = turn.session, turn.world.sessions.tables
    ended_at = session.ended_at or turn.now
    book_usage(tables, session, ended_at)
    into_history(tables, session, ended_at)
    return turn.stay(0.0, settled=True)


def book_usage(tables: Tables, session: SessionRow, until: datetime) -> int:
    """Write what the session used up to `until`; return how many rows changed. What is settled stays as it is.

    Rows have keys of their own: a second run, of this step or of a sweep, finds the first one's and changes nothing.
    What is settled takes an estimate's place even where that ran ahead of the session's end.
    """
    return sum(_book(tables, key, row) for key, row in usage_rows(session, until))


def _book(tables: Tables, key: str, row: UsageRow) -> bool:
    partition = usage_partition(row.project, row.day)
    stored: Stored[UsageRow] | None = tables.read("usage", partition, key, UsageRow)
    if stored is None:
        return tables.commit("usage", partition, [Insert(key, row)])
    if stored.row.settled or not stands_in_for(row, stored.row):
        return False
    if msgspec.structs.replace(stored.row, op=row.op) == row:
        return False
    return tables.commit("usage", partition, [Update(key, row, stored.etag)])


def into_history(tables: Tables, session: SessionRow, ended_at: datetime) -> None:
    """Put an ended session into the history, newest first. A second time finds the first."""
    partition = names.history_partition(session.project, ended_at)
    tables.commit("history", partition, [Insert(names.history_key(ended_at, session.session), session)])
