"""Usage: what each session used on each UTC day at each place, first as an estimate, settled when it has ended."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime
from decimal import Decimal

import msgspec

from shared.domain.billing import spans
from shared.domain.names import ProjectId, SessionId, UserId
from shared.domain.pricing import GpuType, segments
from shared.domain.records import Row, SessionRow


class UsageRow(Row, frozen=True, kw_only=True):
    """`usage`: what one session used on one UTC day at one place. No cost where its price was not known: never a guess.

    `settled` False: the session still runs, and the row is what it used so far.
    """

    project: ProjectId
    session: SessionId
    user: UserId
    gpu_type: GpuType
    region: str | None
    day: date
    seconds: int
    cost: Decimal | None = None
    currency: str | None = None
    user_name: str = ""
    labels: dict[str, str] = msgspec.field(default_factory=dict)
    rate_per_second: Decimal | None = None
    settled: bool = True


def usage_partition(project: ProjectId, day: date) -> str:
    return f"{project}~{day:%Y%m%d}"


def usage_rows(session: SessionRow, until: datetime) -> Iterator[tuple[str, UsageRow]]:
    """Yield (key, row) of everything that the session used up to `until`. A session, day and place have one key.

    The costs of a place's days add up to the cost of the place, and those of the places to that of the session, to the
    last digit (I7). A later call yields the same keys with as much or more in them.
    """
    for number, span in enumerate(spans(session, until)):
        for piece in segments(span.started_at, span.seconds, span.rate):
            yield (
                f"{session.session}-{number:04d}",
                UsageRow(
                    project=session.project,
                    session=session.session,
                    user=session.user,
                    user_name=session.user_name,
                    gpu_type=span.gpu_type,
                    region=span.region,
                    day=piece.day,
                    seconds=piece.seconds,
                    cost=piece.cost,
                    currency=span.rate.currency if span.rate else None,
                    rate_per_second=span.rate.amount_per_second if span.rate else None,
                    labels=session.labels,
                    settled=session.ended_at is not None,
                ),
            )
