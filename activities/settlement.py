"""Settlement: the ended session's seconds and cost are booked once, by UTC day, and its row goes to the history."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from typing import Any

from activities.turn import Move, Turn, take_turn
from shared.domain.billing import Span, spans
from shared.domain.names import ProjectId, SessionId, UserId
from shared.domain.pricing import GpuType, Segment, segments
from shared.domain.records import Row, SessionRow
from shared.domain.states import SessionState
from shared.ports.tables import Insert, Tables
from shared.ports.world import World

END_OF_TIME_MS = 99_999_999_999_999


class UsageRow(Row, frozen=True, kw_only=True):
    """`usage`: what one session used on one UTC day. No cost where its price was not known: never a guess."""

    project: ProjectId
    session: SessionId
    user: UserId
    gpu_type: GpuType
    region: str | None
    seconds: int
    cost: Decimal | None = None
    currency: str | None = None


def settle_session(wire: dict[str, Any], world: World) -> dict[str, Any]:
    """Book the ended session. Rows have names of their own: a second run finds the first one's."""
    return take_turn(world, wire, frozenset({SessionState.ENDED}), _settle)


def _settle(turn: Turn) -> Move:
    session, tables = turn.session, turn.world.sessions.tables
    ended_at = session.ended_at or turn.now
    for number, (span, piece) in enumerate(_pieces(session, ended_at)):
        row = UsageRow(
            project=session.project,
            session=session.session,
            user=session.user,
            gpu_type=span.gpu_type,
            region=span.region,
            seconds=piece.seconds,
            cost=piece.cost,
            currency=span.rate.currency if span.rate else None,
        )
        tables.commit(
            "usage", f"{session.project}~{piece.day:%Y%m%d}", [Insert(f"{session.session}-{number:04d}", row)]
        )
    into_history(tables, session, ended_at)
    return turn.stay(0.0, settled=True)


def into_history(tables: Tables, session: SessionRow, ended_at: datetime) -> None:
    """Put an ended session into the history, newest first. A second time finds the first."""
    key = _newest_first(ended_at, session.session)
    tables.commit("history", f"{session.project}~{ended_at:%Y%m}", [Insert(key, session)])


def _pieces(session: SessionRow, ended_at: datetime) -> Iterator[tuple[Span, Segment]]:
    """Yield what is booked: the days of every place where the session ran."""
    for span in spans(session, ended_at):
        for piece in segments(span.started_at, span.seconds, span.rate):
            yield span, piece


def _newest_first(ended_at: datetime, session: SessionId) -> str:
    return f"{END_OF_TIME_MS - int(ended_at.timestamp() * 1000):014d}-{session}"
