"""How the answers of Cost Management's query are read: columns by name, rows by position. No calls."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Self

import msgspec

from shared.domain.names import SessionId, session_id, session_of_app

MICRO = Decimal("0.000001")


class _Column(msgspec.Struct, frozen=True):
    name: str


class _Properties(msgspec.Struct, frozen=True, rename="camel"):
    columns: list[_Column]
    rows: list[list[Any]]
    next_link: str | None = None


class _Answer(msgspec.Struct, frozen=True):
    properties: _Properties


_DECODER = msgspec.json.Decoder(_Answer, float_hook=Decimal)


@dataclass(frozen=True, slots=True, kw_only=True)
class CostRow:
    """What one resource cost under one value of the tag, to the micro-unit of the currency."""

    cost: Decimal
    currency: str
    tag: str
    resource_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CostPage:
    rows: list[CostRow]
    next_link: str | None

    @classmethod
    def read(cls, raw: bytes) -> Self:
        """Return the page; raise ValueError where the answer is none. Numbers are read as decimals, exactly."""
        told = _DECODER.decode(raw).properties
        at = {column.name.lower(): number for number, column in enumerate(told.columns)}
        needed = ("cost", "currency", "tagvalue", "resourceid")
        if missing := [name for name in needed if name not in at]:
            raise ValueError(f"the answer has no column {', '.join(missing)}")
        places = [at[name] for name in needed]
        return cls(rows=[_row(row, places, len(at)) for row in told.rows], next_link=told.next_link or None)


def _row(cells: list[Any], places: list[int], width: int) -> CostRow:
    if len(cells) != width:
        raise ValueError(f"a row has {len(cells)} cells for {width} columns")
    cost, currency, tag, resource_id = (cells[place] for place in places)
    if isinstance(cost, bool) or not isinstance(cost, int | Decimal) or not isinstance(currency, str):
        raise ValueError("a cost is no number with a currency")  # noqa: TRY004 - the answer's fault, not a caller's
    try:
        amount = Decimal(cost).quantize(MICRO)
    except ArithmeticError as error:  # more digits than any bill has, or no number at all
        raise ValueError("a cost is beyond what can be counted") from error
    return CostRow(cost=amount, currency=currency, tag=str(tag or ""), resource_id=str(resource_id or ""))


def session_of_row(row: CostRow) -> SessionId | None:
    """Return the session that the tag names, or else the app's own name; None for what is no session's."""
    return session_id(row.tag.lower()) or session_of_app(row.resource_id.rpartition("/")[2])
