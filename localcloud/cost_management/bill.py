"""The bill that the Cost Management stand-in answers from: what each session's app cost on each day.

It is set by `PUT /_costs`, forgotten when the stand-in ends, and knows nothing of what really ran.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any

from localcloud.container_apps.catalog import RESOURCE_GROUP, SUBSCRIPTION

Json = dict[str, Any]
TAG = "devboxgpu-session"
_APPS = f"/subscriptions/{SUBSCRIPTION}/resourcegroups/{RESOURCE_GROUP}/providers/microsoft.app/containerapps"
_MEMBERS = {"session", "day", "cost", "currency", "tagged"}


@dataclass(frozen=True, slots=True, kw_only=True)
class BilledDay:
    """What one session's app cost on one UTC day. Not `tagged`: the usage record came without the app's tags."""

    session: str
    day: date
    cost: Decimal
    currency: str
    tagged: bool

    @property
    def resource_id(self) -> str:
        """The app's id in lower case, as Cost Management gives it."""
        return f"{_APPS}/dbg-{self.session}"

    def to_wire(self) -> Json:
        return {
            "session": self.session,
            "day": self.day.isoformat(),
            "cost": str(self.cost),
            "currency": self.currency,
            "tagged": self.tagged,
        }


def read_bill(wanted: object) -> list[BilledDay]:
    """Return the days in `{"rows": [{"session", "day", "cost", "currency", "tagged"}]}`; raise ValueError."""
    rows = wanted.get("rows") if isinstance(wanted, dict) and set(wanted) == {"rows"} else None
    if type(rows) is not list:
        raise ValueError('the body is {"rows": [...]}')
    return [_read_day(row) for row in rows]


def _read_day(row: object) -> BilledDay:
    if not isinstance(row, dict) or set(row) - _MEMBERS or not {"session", "day", "cost"} <= set(row):
        raise ValueError(f"a row has session, day and cost, and may have currency and tagged; this is {row!r}")
    try:
        cost = Decimal(str(row["cost"]))
    except InvalidOperation as error:
        raise ValueError(f"a cost is a number; this is {row['cost']!r}") from error
    return BilledDay(
        session=str(row["session"]),
        day=date.fromisoformat(str(row["day"])),
        cost=cost,
        currency=str(row.get("currency", "USD")),
        tagged=row.get("tagged", True) is True,
    )


def grouped(days: Iterable[BilledDay], first: date, last: date, groupings: list[str]) -> list[list[object]]:
    """Return a row for each group: cost, then the cells of the groupings, then the currency."""
    sums: dict[tuple[object, ...], Decimal] = {}
    for day in days:
        if first <= day.day <= last:
            key = (*(cell for name in groupings for cell in _cells(day, name)), day.currency)
            sums[key] = sums.get(key, Decimal(0)) + day.cost
    return [[float(cost), *key] for key, cost in sums.items()]


def columns(groupings: list[str]) -> list[Json]:
    """Return the columns of such rows, in order."""
    names = [title for name in groupings for title in (("TagKey", "TagValue") if name == TAG else ("ResourceId",))]
    told = [{"name": "Cost", "type": "Number"}]
    return told + [{"name": name, "type": "String"} for name in (*names, "Currency")]


def _cells(day: BilledDay, grouping: str) -> list[str]:
    if grouping == TAG:
        return [TAG, day.session if day.tagged else ""]
    return [day.resource_id]
