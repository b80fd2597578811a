"""Recorded demand: what each session asked for, and how it would have been used under other rules than those it met."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from types import MappingProxyType

from shared.domain.billing import spans
from shared.domain.names import SessionId, UserId, waiter_order
from shared.domain.pricing import GpuType, Rate, cost_of
from shared.domain.records import SessionRow
from shared.domain.states import EndReason
from shared.domain.use import Use, seconds_between, use_of

NOT_BY_ITSELF = frozenset({EndReason.REFUSED, EndReason.WAIT_TIMED_OUT, EndReason.PROJECT_DISABLED})
"""Ends without a place that the settings brought about; the others are those who gave up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """One recorded session. `gpu_type`: the one that it named; `waits_s`: how long it said that it would wait.

    `gives_up_s`: it left the line by itself after so many seconds. `use` is None where it never had a place. `rate`:
    the price that it met on a `met` GPU. `vain_s`, `vain_cost`: what tries in vain took before; no cost: no price.
    """

    session: SessionId
    user: UserId
    user_name: str
    asked_at: datetime
    gpu_type: GpuType | None
    waits: bool
    waits_s: float | None
    gives_up_s: float | None
    use: Use | None
    met: GpuType
    rate: Rate | None
    vain_s: int
    vain_cost: Decimal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What was asked of a project from `since` until `until`, in order, and what held places when that began.

    `usual`: the median use of those that ran, by type: how one that never had a GPU is taken to be used.
    """

    since: datetime
    until: datetime
    currency: str
    demands: tuple[Demand, ...]
    rates: Mapping[GpuType, Rate]
    usual: Mapping[GpuType, Use]


def record_of(
    rows: Iterable[SessionRow],
    since: datetime,
    until: datetime,
    currency: str,
    prices: Mapping[GpuType, Rate] = MappingProxyType({}),
) -> Record:
    """Return the demand in these rows. A price in another currency counts as none.

    `prices`: what a type costs where no session had it.
    """
    ordered = sorted(rows, key=lambda row: waiter_order(row.created_at, row.session))
    demands = tuple(_demand_of(row, until, currency) for row in ordered)
    return Record(
        since=since,
        until=until,
        currency=currency,
        demands=demands,
        rates={**prices, **{demand.met: demand.rate for demand in demands if demand.rate is not None}},
        usual={gpu_type: use for gpu_type in GpuType if (use := _median(demands, gpu_type)) is not None},
    )


def _median(demands: Iterable[Demand], gpu_type: GpuType) -> Use | None:
    ran = [demand for demand in demands if demand.use is not None and demand.use.ready_s is not None]
    uses = [demand.use for demand in ran if demand.met is gpu_type and demand.use] or [
        one.use for one in ran if one.use
    ]
    uses.sort(key=lambda use: use.active_s if use.leaves_s is None else use.leaves_s)
    return uses[len(uses) // 2] if uses else None


def _demand_of(row: SessionRow, until: datetime, currency: str) -> Demand:
    gave_up = row.held_from is None and row.end_reason not in (None, *NOT_BY_ITSELF)
    types = row.gpu_types or [row.gpu_type]
    vain = [span for span in spans(row, until) if span.started_at != row.replica_started_at]
    costs = [cost_of(span.seconds, span.rate) for span in vain if span.rate and span.rate.currency == currency]
    return Demand(
        session=row.session,
        user=row.user,
        user_name=row.user_name,
        asked_at=row.created_at,
        gpu_type=row.asked.gpu_type if row.asked else (types[0] if len(types) == 1 else None),
        waits=row.waits,
        waits_s=row.asked.wait_s if row.asked else seconds_between(row.created_at, row.wait_until),
        gives_up_s=seconds_between(row.created_at, row.ended_at) if gave_up else None,
        use=use_of(row, until),
        met=row.gpu_type,
        rate=row.rate if row.rate and row.rate.currency == currency else None,
        vain_s=sum(span.seconds for span in vain),
        vain_cost=sum(costs, Decimal(0)) if len(costs) == len(vain) else None,
    )
