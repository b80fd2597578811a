"""Our estimates held against what Azure has billed, session by session. Neither side is corrected by the other."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from shared.domain.names import SessionId
from shared.domain.pricing import CURRENCY
from shared.domain.usage import UsageRow
from shared.domain.usage_report import amounts_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Actual:
    """What Azure has billed, in the currency that it bills in."""

    amount: Decimal
    currency: str


class Missing(StrEnum):
    """On which side a session is not found. Bills come hours later (azure.md 7.4): young sessions have none yet."""

    ESTIMATED = "estimated"
    ACTUAL = "actual"


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One session on both sides. `estimated` is None where no price was known for some of its seconds."""

    session: SessionId
    estimated: Decimal | None
    actual: Actual | None
    missing: Missing | None = None

    @property
    def amount(self) -> Decimal | None:
        """Actual less estimated; None where a side is missing, unpriced or in another currency."""
        if self.estimated is None or self.actual is None or self.actual.currency != CURRENCY:
            return None
        return self.actual.amount - self.estimated


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciliation:
    """All sessions of either side. The sums are over those that could be compared, so that they can be too."""

    differences: list[Difference]
    estimated: Decimal
    actual: Decimal

    @property
    def amount(self) -> Decimal:
        return self.actual - self.estimated

    @property
    def compared(self) -> int:
        return sum(entry.amount is not None for entry in self.differences)

    def missing(self, side: Missing) -> int:
        return sum(entry.missing is side for entry in self.differences)


def reconcile(rows: Iterable[UsageRow], actual: Mapping[SessionId, Actual]) -> Reconciliation:
    """Return both sides of every session: the largest differences first, then what could not be compared."""
    by_session: dict[SessionId, list[UsageRow]] = {}
    for row in rows:
        by_session.setdefault(row.session, []).append(row)
    differences = [
        _difference(session, by_session.get(session), actual.get(session))
        for session in sorted(by_session.keys() | actual.keys())
    ]
    compared = [entry for entry in differences if entry.amount is not None]
    zero = Decimal("0.000000")
    return Reconciliation(
        differences=sorted(differences, key=lambda entry: -abs(entry.amount) if entry.amount is not None else 1),
        estimated=sum((entry.estimated for entry in compared if entry.estimated is not None), zero),
        actual=sum((entry.actual.amount for entry in compared if entry.actual is not None), zero),
    )


def _difference(session: SessionId, rows: list[UsageRow] | None, actual: Actual | None) -> Difference:
    if rows is None:
        return Difference(session=session, estimated=None, actual=actual, missing=Missing.ESTIMATED)
    sums = amounts_of(rows)
    return Difference(
        session=session,
        estimated=sums.cost if not sums.unpriced_seconds else None,
        actual=actual,
        missing=Missing.ACTUAL if actual is None else None,
    )
