"""Reconciliation: what we have booked for a project's sessions beside what Azure has billed for them."""

from __future__ import annotations

from decimal import Decimal
from math import ceil

from api.asked import days_asked
from api.call import Call, Reply
from api.usage_wire import DifferenceView, ReconciliationTotals, ReconciliationView
from shared.domain.errors import ErrorCode, Refused
from shared.domain.pricing import CURRENCY
from shared.domain.reconciliation import Difference, Missing, Reconciliation, reconcile
from shared.ports.actual_cost import CostUnknown
from shared.ports.usage_days import usage_up_to_now


def reconcile_usage(call: Call) -> Reply:
    """Hold both sides of every session of these days against each other. Nothing is changed by it."""
    first, last = days_asked(call)
    if call.world.actual_cost is None:
        message = "This control plane is not told whose bill to read: its operator sets DEVBOXGPU_COST_SCOPE."
        raise Refused(409, ErrorCode.COST_NOT_CONFIGURED, message)
    rows = usage_up_to_now(call.world.sessions, call.project, first, last, call.world.now())
    try:
        actual = call.world.actual_cost.by_session(call.project, first, last)
    except CostUnknown as unknown:
        message = f"What Azure has billed is not known now: {unknown}. Try again."
        again_s = ceil(unknown.retry_after_s)
        raise Refused(503, ErrorCode.SERVICE_UNAVAILABLE, message, retry_after_s=again_s) from unknown
    told = reconcile(rows, actual)
    body = ReconciliationView(
        first=first,
        last=last,
        currency=CURRENCY,
        value=[_difference(entry) for entry in told.differences],
        totals=_totals(told),
    )
    return Reply(status=200, body=body)


def _difference(entry: Difference) -> DifferenceView:
    return DifferenceView(
        session=entry.session,
        estimated=_amount(entry.estimated),
        actual=_amount(entry.actual.amount) if entry.actual else None,
        actual_currency=entry.actual.currency if entry.actual and entry.actual.currency != CURRENCY else None,
        difference=_amount(entry.amount),
        missing=entry.missing,
    )


def _totals(told: Reconciliation) -> ReconciliationTotals:
    return ReconciliationTotals(
        estimated=f"{told.estimated:.6f}",
        actual=f"{told.actual:.6f}",
        difference=f"{told.amount:.6f}",
        compared=told.compared,
        missing_estimated=told.missing(Missing.ESTIMATED),
        missing_actual=told.missing(Missing.ACTUAL),
    )


def _amount(amount: Decimal | None) -> str | None:
    return f"{amount:.6f}" if amount is not None else None
