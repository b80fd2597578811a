"""Usage: what each session used on each UTC day at each place, first as an estimate, settled when it has ended."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date, datetime
from decimal import Decimal

import msgspec

from shared.domain.billing import spans
from shared.domain.names import ProjectId, SessionId, UserId
from shared.domain.pricing import GpuType, PriceSource, segments
from shared.domain.records import Row, SessionRow

USAGE_KEYS = ("2", "{")
"""The first key and the key after the last of a partition: keys begin with a session id."""


NOT_SAID = date.min
"""The day of a row that says none: the first rows left it to their partition."""


class UsageRow(Row, frozen=True, kw_only=True):
    """`usage`: what one session used on one UTC day at one place. No cost where its price was not known: never a guess.

    `settled` False: the session still runs, and the row is what it used so far.
    """

    project: ProjectId
    session: SessionId
    user: UserId
    gpu_type: GpuType
    region: str | None
    day: date = NOT_SAID
    seconds: int
    cost: Decimal | None = None
    currency: str | None = None
    user_name: str = ""
    labels: dict[str, str] = msgspec.field(default_factory=dict)
    rate_per_second: Decimal | None = None
    price_source: PriceSource = PriceSource.RETAIL
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
                    price_source=span.rate.source if span.rate else PriceSource.RETAIL,
                    labels=session.labels,
                    settled=session.ended_at is not None,
                ),
            )


def stands_in_for(row: UsageRow, estimate: UsageRow) -> bool:
    """Tell whether a row is to be taken instead of an estimate under its key: what is settled, else what is later."""
    return row.settled or estimate.seconds <= row.seconds


def up_to_now(stored: Iterable[tuple[str, UsageRow]], sessions: Iterable[SessionRow], now: datetime) -> list[UsageRow]:
    """Return the stored (key, row) pairs' rows, with what unsettled sessions have used since then put in.

    The sessions must have been read before the rows: one that was settled in between is then in its rows, which stay.
    """
    rows = {(row.day, key): row for key, row in stored}
    for session in sessions:
        if session.settled:
            continue
        for key, row in usage_rows(session, now):
            known = rows.get((row.day, key))
            if known is None or (not known.settled and stands_in_for(row, known)):
                rows[row.day, key] = row
    return list(rows.values())
