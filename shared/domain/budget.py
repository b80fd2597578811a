"""A month's budget: what a session may cost until it is looked at next is held in the ledger before it is spent.

With `hardStop` every session has a held authorisation: this month's cost so far, and its worst case until the end of
its slice. It is renewed before the slice ends. Where it cannot be, the session ends with what was held: so a budget is
overrun by the time that a teardown takes, and by one slice where everything fails (I16).
"""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal

from shared.domain.billing import spans
from shared.domain.ledger import Ledger
from shared.domain.pricing import segments
from shared.domain.records import SessionRow
from shared.domain.settings import BudgetSettings

EARLIEST_RENEWAL = 0.5
"""A slice is renewed in its second half at the earliest, however long before a stop people are to be warned."""


def cost_in_month(session: SessionRow, until: datetime) -> Decimal | None:
    """Return what the session has cost in the month of `until`; None where a price is not known."""
    total = Decimal(0)
    for span in spans(session, until):
        for piece in segments(span.started_at, span.seconds, span.rate):
            if (piece.day.year, piece.day.month) != (until.year, until.month):
                continue
            if piece.cost is None:
                return None
            total += piece.cost
    return total


def covered(ledger: Ledger, budget: BudgetSettings, session: str, amount: Decimal) -> bool:
    """Tell whether the budget bears this authorisation of the session's beside what is spent and held by the others."""
    others = sum((held for one, held in ledger.authorised.items() if one != session), Decimal(0))
    return ledger.spent + others + amount <= budget.monthly_amount


def renewal_due_at(authorised_until: datetime, slice_: timedelta, warn: timedelta) -> datetime:
    """Return when the next slice is to be asked for: so early that a refusal leaves time to warn."""
    return authorised_until - min(warn, slice_ * EARLIEST_RENEWAL)


def thresholds_reached(ledger: Ledger, budget: BudgetSettings) -> list[int]:
    """Return the percentages of the budget that this month's cost has reached and nobody was told of."""
    used = ledger.spent + sum(ledger.accrued.values(), Decimal(0))
    return [
        percent
        for percent in sorted(budget.alert_percents)
        if percent not in ledger.alerted and used * 100 >= budget.monthly_amount * percent
    ]
