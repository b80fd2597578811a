"""Usage summed up: over days, months or in all, by who, what and where. Every sum equals its rows to the last digit."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum

from shared.domain.names import UserId
from shared.domain.pricing import CURRENCY, GpuType, PriceSource
from shared.domain.usage import UsageRow


class Interval(StrEnum):
    DAY = "day"
    MONTH = "month"
    TOTAL = "total"


class Dimension(StrEnum):
    """What usage is told apart by. LABEL needs the name of a label beside it."""

    USER = "user"
    GPU_TYPE = "gpuType"
    REGION = "region"
    LABEL = "label"
    SESSION = "session"


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Which rows count; None lets all through. `label`: its name, and the value that it must have or None for any."""

    user: UserId | None = None
    gpu_type: GpuType | None = None
    region: str | None = None
    label: tuple[str, str | None] | None = None

    def takes(self, row: UsageRow) -> bool:
        return (
            (self.user is None or row.user == self.user)
            and (self.gpu_type is None or row.gpu_type is self.gpu_type)
            and (self.region is None or row.region == self.region)
            and (self.label is None or self._has_label(row, *self.label))
        )

    def _has_label(self, row: UsageRow, name: str, value: str | None) -> bool:
        return name in row.labels and value in (None, row.labels[name])


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is asked of the usage of the UTC days from `first` to `last`, both included."""

    first: date
    last: date
    interval: Interval = Interval.DAY
    by: tuple[Dimension, ...] = ()
    label: str | None = None  # the label that Dimension.LABEL tells apart by
    only: Filter = Filter()


@dataclass(frozen=True, slots=True, kw_only=True)
class Amounts:
    """Sums over rows. `cost` is None where none of the seconds has a price in CURRENCY: unknown is not free.

    `estimated`: some of it is not settled. `bundled`: some of it is at prices of the bundled table.
    """

    seconds: int
    unpriced_seconds: int
    cost: Decimal | None
    estimated: bool
    bundled: bool
    sessions: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One group in one interval. `group` has a value for each dimension that was asked for, None where it is unset."""

    start: date
    group: dict[Dimension, str | None]
    amounts: Amounts
    user_name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    lines: list[Line]
    totals: Amounts


def report(rows: Iterable[UsageRow], question: Question) -> Report:
    """Return the sums in order of time and group; a group that used nothing in an interval has no line there."""
    counted = [row for row in rows if question.first <= row.day <= question.last and question.only.takes(row)]
    groups: dict[tuple[date, tuple[str | None, ...]], list[UsageRow]] = {}
    for row in counted:
        values = tuple(_VALUE_OF[dimension](row, question) for dimension in question.by)
        groups.setdefault((interval_start(row.day, question), values), []).append(row)
    lines = [
        Line(
            start=start,
            group=dict(zip(question.by, values, strict=True)),
            user_name=_name_in(found) if Dimension.USER in question.by else "",
            amounts=amounts_of(found),
        )
        for (start, values), found in sorted(groups.items(), key=_in_order)
    ]
    return Report(lines=lines, totals=amounts_of(counted))


def amounts_of(rows: Iterable[UsageRow]) -> Amounts:
    """Return the sums of these rows. What has no price, or one in another currency, is counted apart, never as 0."""
    rows = list(rows)
    costs = [row.cost for row in rows if row.cost is not None and row.currency == CURRENCY]
    return Amounts(
        seconds=sum(row.seconds for row in rows),
        unpriced_seconds=sum(row.seconds for row in rows if row.cost is None or row.currency != CURRENCY),
        cost=sum(costs, Decimal("0.000000")) if costs or not rows else None,
        estimated=any(not row.settled for row in rows),
        bundled=any(row.price_source is PriceSource.BUNDLED for row in rows),
        sessions=len({row.session for row in rows}),
    )


def interval_start(day: date, question: Question) -> date:
    """Return the day by which the interval of this day is named: itself, its month's first, or the first asked for."""
    match question.interval:
        case Interval.DAY:
            return day
        case Interval.MONTH:
            return day.replace(day=1)
        case Interval.TOTAL:
            return question.first


_VALUE_OF: dict[Dimension, Callable[[UsageRow, Question], str | None]] = {
    Dimension.USER: lambda row, _: row.user,
    Dimension.GPU_TYPE: lambda row, _: row.gpu_type,
    Dimension.REGION: lambda row, _: row.region,
    Dimension.LABEL: lambda row, question: row.labels.get(question.label or ""),
    Dimension.SESSION: lambda row, _: row.session,
}


def _name_in(rows: list[UsageRow]) -> str:
    """Return the name that the user had last: names change, ids do not."""
    return max(((row.day, row.user_name) for row in rows if row.user_name), default=(None, ""))[1]


def _in_order(group: tuple[tuple[date, tuple[str | None, ...]], list[UsageRow]]) -> tuple[date, list[str]]:
    start, values = group[0]
    return start, [value or "" for value in values]
