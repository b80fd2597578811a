"""Money: what a GPU session costs by the second. Decimal throughout; currency beside every amount."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import ROUND_HALF_EVEN, ROUND_UP, Decimal
from enum import StrEnum

MICRO = Decimal("0.000001")
CURRENCY = "USD"
"""The one currency that prices are asked in, budgets are set in and costs are summed in."""


class GpuType(StrEnum):
    T4 = "T4"
    A100 = "A100"


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuShape:
    """What one serverless GPU replica occupies and therefore costs (reference/azure.md 1.1)."""

    profile: str
    vcpu: int
    memory_gib: int
    gpu_meter: str


SHAPES: dict[GpuType, GpuShape] = {
    GpuType.T4: GpuShape(profile="gpu-t4", vcpu=8, memory_gib=56, gpu_meter="Standard NC T4 v3 GPU Usage"),
    GpuType.A100: GpuShape(profile="gpu-a100", vcpu=24, memory_gib=220, gpu_meter="Standard NC A100 v4 GPU Usage"),
}
VCPU_METER = "Standard vCPU Active Usage"
MEMORY_METER = "Standard Memory Active Usage"
UNITS: dict[str, str] = {
    **{shape.gpu_meter: "1 Second" for shape in SHAPES.values()},
    VCPU_METER: "1 Second",
    MEMORY_METER: "1 GiB Second",
}
"""The meters that a session is billed by, each with the unit that its price must be in (azure.md 7.3)."""


class PriceSource(StrEnum):
    """Where a price comes from: the Retail Prices API, or the table that we bring along for when it cannot be had."""

    RETAIL = "retail"
    BUNDLED = "bundled"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """What one session costs by the second. GPU meters add to vCPU and memory; there is no idle rate (azure.md 0).

    `as_of`: the day since which all its parts have held (retail), or on which they were looked up (bundled).
    """

    amount_per_second: Decimal
    currency: str
    source: PriceSource = PriceSource.RETAIL
    as_of: date | None = None

    @property
    def amount_per_hour(self) -> Decimal:
        return self.amount_per_second * 3600


def session_rate(gpu_type: GpuType, unit_prices: Mapping[str, Decimal], currency: str) -> Rate | None:
    """Return the rate of a session from unit prices a second by meter name, None where a meter has no price."""
    parts = _parts(gpu_type)
    if not parts.keys() <= unit_prices.keys():
        return None
    total = sum((unit_prices[meter] * count for meter, count in parts.items()), Decimal(0))
    return Rate(amount_per_second=total, currency=currency)


def _parts(gpu_type: GpuType) -> dict[str, int]:
    """Return how many units of which meter a second of a session is."""
    shape = SHAPES[gpu_type]
    return {shape.gpu_meter: 1, VCPU_METER: shape.vcpu, MEMORY_METER: shape.memory_gib}


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceList:
    """A region's prices a second by meter, all from one source. `since`: the day from which each holds."""

    unit_prices: Mapping[str, Decimal]
    currency: str
    source: PriceSource
    since: Mapping[str, date] = field(default_factory=dict)

    def rate(self, gpu_type: GpuType) -> Rate | None:
        """Return the rate of a session, None where one of its meters is not in the list: never a guess."""
        rate = session_rate(gpu_type, self.unit_prices, self.currency)
        if rate is None:
            return None
        days = [self.since[meter] for meter in _parts(gpu_type) if meter in self.since]
        return replace(rate, source=self.source, as_of=max(days, default=None))


def cost_of(seconds: int, rate: Rate) -> Decimal:
    """Return the cost of so many metered seconds, to the micro-unit of the rate's currency."""
    return (rate.amount_per_second * seconds).quantize(MICRO, rounding=ROUND_HALF_EVEN)


def worst_case(rate: Rate, span: timedelta) -> Decimal:
    """Return what a session costs at most in this time."""
    return (rate.amount_per_second * Decimal(str(span.total_seconds()))).quantize(MICRO, rounding=ROUND_UP)


def metered_seconds(started_at: datetime | None, ended_at: datetime) -> int:
    """Return the whole seconds from the observed start of the replica to its end; 0 where none was seen to start.

    A second that has begun counts: Azure bills allocated seconds (azure.md 7.2).
    """
    if started_at is None or ended_at <= started_at:
        return 0
    span = ended_at - started_at
    return -(-span // timedelta(seconds=1))


def split_by_day(started_at: datetime, seconds: int) -> Iterator[tuple[date, int]]:
    """Yield (UTC day, seconds) pieces of a metered span; the pieces add up to `seconds` exactly (I7)."""
    at, left = started_at.astimezone(UTC), seconds
    while left > 0:
        midnight = datetime.combine(at.date() + timedelta(days=1), time(), UTC)
        piece = min(left, -((at - midnight) // timedelta(seconds=1)))
        yield at.date(), piece
        left -= piece
        at = midnight


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """What was used on one UTC day; `cost` is None where the price is not known."""

    day: date
    seconds: int
    cost: Decimal | None


def segments(started_at: datetime, seconds: int, rate: Rate | None) -> Iterator[Segment]:
    """Yield the days of a metered span. Their costs add up to the cost of the whole, to the last digit (I7)."""
    before = 0
    for day, piece in split_by_day(started_at, seconds):
        cost = cost_of(before + piece, rate) - cost_of(before, rate) if rate else None
        yield Segment(day=day, seconds=piece, cost=cost)
        before += piece
