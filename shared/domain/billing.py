"""What a session has cost: every place where a replica of it ran, each at its own rate."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from shared.domain.pricing import GpuType, PriceSource, Rate, cost_of, metered_seconds
from shared.domain.records import SessionRow


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Seconds on one GPU in one region. `rate` is None where the price is not known."""

    region: str | None
    gpu_type: GpuType
    started_at: datetime
    seconds: int
    rate: Rate | None


def spans(session: SessionRow, until: datetime) -> Iterator[Span]:
    """Yield where the session ran: the tries in vain that were paid for, then the place that it has, up to `until`."""
    for tried in session.tries:
        if tried.replica_started_at is not None and tried.metered_s:
            yield Span(
                region=tried.region,
                gpu_type=tried.gpu_type,
                started_at=tried.replica_started_at,
                seconds=tried.metered_s,
                rate=rate_of(tried.rate_per_second, tried.currency, tried.price_source),
            )
    seconds = metered_seconds(session.replica_started_at, session.ended_at or until)
    if session.replica_started_at is not None and seconds:
        yield Span(
            region=session.region,
            gpu_type=session.gpu_type,
            started_at=session.replica_started_at,
            seconds=seconds,
            rate=session.rate,
        )


def rate_of(amount_per_second: Decimal | None, currency: str | None, source: PriceSource) -> Rate | None:
    if amount_per_second is None or currency is None:
        return None
    return Rate(amount_per_second=amount_per_second, currency=currency, source=source)


def seconds_so_far(session: SessionRow, until: datetime) -> int:
    """Return the seconds metered so far, or in all once the session has ended."""
    return sum(span.seconds for span in spans(session, until))


def cost_so_far(session: SessionRow, until: datetime) -> Decimal | None:
    """Return the cost so far in the session's currency; None where a price is not known: never a guess."""
    costs = [cost_of(span.seconds, span.rate) if span.rate else None for span in spans(session, until)]
    if session.rate is None and not costs:
        return None
    known = [cost for cost in costs if cost is not None]
    return sum(known, Decimal("0.000000")) if len(known) == len(costs) else None


def currency_of(session: SessionRow) -> str | None:
    """Return the currency of the session's cost: its own, else that of the tries that were paid for."""
    return session.currency or next((tried.currency for tried in session.tries if tried.currency), None)
