"""A month's budget: what a session may cost until it is looked at next is held in the ledger before it is spent.

With `hardStop` every session has a held authorisation: this month's cost so far, and its worst case until the end of
its slice. It is renewed before the slice ends. Where it cannot be, the session ends with what was held: so a budget is
overrun by the time that a teardown takes, and by one slice where everything fails (I16).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from types import MappingProxyType

from shared.domain.admission import Book
from shared.domain.billing import spans
from shared.domain.ledger import Ledger
from shared.domain.pricing import GpuType, Rate, segments, worst_case
from shared.domain.records import SessionRow
from shared.domain.settings import BudgetSettings

EARLIEST_RENEWAL = 0.5
"""A slice is renewed in its second half at the earliest, however long before a stop people are to be warned."""


def cost_in_month(
    session: SessionRow, until: datetime, month: str, rates: Mapping[GpuType, Rate] = MappingProxyType({})
) -> Decimal:
    """Return what the session has cost up to `until` in this month (2026-11), as a budget counts it.

    The month is the ledger's own, which may have begun since `until`. Seconds without a price count at `rates`, what
    such a GPU costs at most: a budget must not take them for free. Without that either they are not in it.
    """
    total = Decimal(0)
    for span in spans(session, until):
        for piece in segments(span.started_at, span.seconds, span.rate or rates.get(span.gpu_type)):
            if f"{piece.day:%Y-%m}" == month and piece.cost is not None:
                total += piece.cost
    return total


def with_next_slice(book: Book, session: SessionRow, gpu_type: GpuType, now: datetime) -> Ledger | None:
    """Return the ledger that holds what the session has cost, and its worst case in a slice from now on such a GPU.

    None where the budget does not bear that, or where there is no price to hold by.
    """
    rate = _dearest(session, gpu_type, book.rates)
    if book.hard_budget is None or rate is None:
        return None
    accrued = accrued_in(book, session, now)
    needed = accrued + worst_case(rate, book.slice)
    if not covered(book.ledger, book.hard_budget, session.session, needed):
        return None
    return book.ledger.authorising(session.session, needed, accrued=accrued)


def accrued_in(book: Book, session: SessionRow, until: datetime) -> Decimal:
    """Return what the session has cost up to `until` in the month that the book is in."""
    return cost_in_month(session, until, book.ledger.month, book.rates)


def _dearest(session: SessionRow, gpu_type: GpuType, rates: Mapping[GpuType, Rate]) -> Rate | None:
    """Return the price to hold by: the session's own once it runs; before, it may yet be moved to a dearer place."""
    own = session.rate if gpu_type is session.gpu_type else None
    if own is not None and session.running_at is not None:
        return own
    known = [rate for rate in (own, rates.get(gpu_type)) if rate is not None]
    return max(known, key=lambda rate: rate.amount_per_second, default=None)


def covered(ledger: Ledger, budget: BudgetSettings, session: str, amount: Decimal) -> bool:
    """Tell whether the budget bears this authorisation of the session's beside what is spent and held by the others."""
    return ledger.spent + ledger.committed(besides=session) + amount <= budget.monthly_amount


def notice(slice_: timedelta, warn: timedelta) -> timedelta:
    """Return how long before a stop of the budget's people are told: the policy's time, within half a slice."""
    return min(warn, slice_ * EARLIEST_RENEWAL)


def renewal_due_at(authorised_until: datetime, slice_: timedelta, warn: timedelta) -> datetime:
    """Return when the next slice is to be asked for: so early that a refusal leaves time to warn."""
    return authorised_until - notice(slice_, warn)


def thresholds_reached(ledger: Ledger, budget: BudgetSettings) -> list[int]:
    """Return the percentages of the budget that this month's cost has reached and nobody was told of."""
    return [
        percent
        for percent in sorted(budget.alert_percents)
        if percent not in ledger.alerted and _is_reached(ledger, budget, percent)
    ]


def still_reached(ledger: Ledger, budget: BudgetSettings) -> list[int]:
    """Return the percentages told of that hold under this budget too: the others of a raised one are told anew."""
    return [percent for percent in ledger.alerted if _is_reached(ledger, budget, percent)]


def _is_reached(ledger: Ledger, budget: BudgetSettings, percent: int) -> bool:
    return (ledger.spent + sum(ledger.accrued.values(), Decimal(0))) * 100 >= budget.monthly_amount * percent
