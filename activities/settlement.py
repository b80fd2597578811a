"""Settlement: the ended session's seconds and cost are booked once, by UTC day, and its row goes to the history."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from activities.turn import Move, Turn, take_turn
from shared.domain import names
from shared.domain.records import SessionRow
from shared.domain.states import SessionState
from shared.domain.usage import UsageRow, stands_in_for, usage_partition, usage_rows
from shared.ports.sessions import until_settled
from shared.ports.tables import Change, Insert, Stored, Tables, Update, by_transaction
from shared.ports.world import World


def settle_session(wire: dict[str, Any], world: World) -> dict[str, Any]:
    """Book the ended session. Rows have names of their own: a second run finds the first one's."""
    return take_turn(world, wire, frozenset({SessionState.ENDED}), _settle)


def _settle(turn: Turn) -> Move:
    session, tables = turn.session, turn.world.sessions.tables
    ended_at = session.ended_at or turn.now
    book_usage(tables, [session], ended_at)
    into_history(tables, session, ended_at)
    return turn.stay(0.0, settled=True)


def book_usage(tables: Tables, sessions: Sequence[SessionRow], until: datetime) -> int:
    """Write what these sessions used up to `until`; return how many rows changed. What is settled stays as it is.

    Rows have keys of their own: a second run, of this step or of a sweep, finds the first one's and changes nothing.
    However many sessions there are, a day of theirs costs one look and one transaction for each hundred rows.
    What is settled takes an estimate's place even where that ran ahead of the session's end.
    """
    days: defaultdict[str, dict[str, UsageRow]] = defaultdict(dict)
    for session in sessions:
        for key, row in usage_rows(session, until):
            days[usage_partition(row.project, row.day)][key] = row
    return sum(_book_day(tables, day, rows) for day, rows in days.items())


def _book_day(tables: Tables, day: str, rows: Mapping[str, UsageRow]) -> int:
    """Write these rows of a day; where somebody else writes one of them, look again and go on."""
    keys, done = (min(rows), f"{max(rows)}."), 0

    def attempt() -> bool | None:
        nonlocal done
        stored = {one.key: one for one in tables.scan("usage", day, keys, UsageRow)}
        changes = [change for key, row in rows.items() if (change := _booking(stored.get(key), key, row)) is not None]
        for batch in by_transaction(changes):
            if not tables.commit("usage", day, batch):
                return None
            done += len(batch)
        return True

    until_settled(attempt)
    return done


def _booking(stored: Stored[UsageRow] | None, key: str, row: UsageRow) -> Change | None:
    """Return what is to be written; None where the row is settled, says more already, or says the same."""
    if stored is None:
        return Insert(key, row)
    known = stored.row
    if known.settled or not stands_in_for(row, known) or msgspec.structs.replace(known, op=row.op) == row:
        return None
    return Update(key, row, stored.etag)


def into_history(tables: Tables, session: SessionRow, ended_at: datetime) -> None:
    """Put an ended session into the history, newest first. A second time finds the first."""
    partition = names.history_partition(session.project, ended_at)
    tables.commit("history", partition, [Insert(names.history_key(ended_at, session.session), session)])
