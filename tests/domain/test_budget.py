"""A budget's arithmetic: month ends, prices that are not known, what running sessions take, percentages told."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from shared.domain.admission import Admit, Book, Wish, decide
from shared.domain.budget import accrued_in, cost_in_month, still_reached, thresholds_reached, with_next_slice
from shared.domain.fairness import Shares
from shared.domain.ledger import Ledger
from shared.domain.line import Line, Waiter
from shared.domain.names import SessionId, UserId
from shared.domain.pricing import GpuType, Rate
from shared.domain.records import SessionRow, Try
from shared.domain.settings import (
    BudgetSettings,
    Fairness,
    GpuSettings,
    GpuTypeSetting,
    LineSettings,
    Mode,
    ServerlessGpuSessionsSettings,
)
from tests.session_rows import session_row

MIDNIGHT = datetime(2026, 11, 1, tzinfo=UTC)
CENT = Rate(amount_per_second=Decimal("0.01"), currency="USD")
HARD = BudgetSettings(monthly_amount=Decimal(100), currency="USD", hard_stop=True)


def running(began: datetime, **more: object) -> SessionRow:
    priced = {"running_at": began, "rate_per_second": CENT.amount_per_second, "currency": "USD"}
    return session_row(began, **{**priced, **more})


def book(now: datetime, ledger: Ledger | None = None, **more: object) -> Book:
    settings = GpuSettings(budget=HARD)
    ledger = (ledger or Ledger()).brought_to(now, settings.line)
    columns = {"settings": settings, "ledger": ledger, "line": Line([], Shares(), settings.line), "now": now, **more}
    return Book(**columns)


def test_what_the_last_month_cost_is_not_booked_in_the_month_in_which_the_ledgers_turn_comes():
    session = running(MIDNIGHT - timedelta(hours=1))
    looked_at = MIDNIGHT - timedelta(seconds=0.3)
    assert accrued_in(book(looked_at), session, looked_at) == Decimal("36.00")
    assert accrued_in(book(MIDNIGHT + timedelta(seconds=1)), session, looked_at) == 0


@pytest.mark.parametrize(
    ("began", "month", "seconds"),
    [
        (datetime(2028, 2, 29, 23, 0, tzinfo=UTC), "2028-02", 3600),
        (datetime(2028, 2, 29, 23, 0, tzinfo=UTC), "2028-03", 1800),
        (datetime(2026, 12, 31, 23, 59, 59, 500_000, tzinfo=UTC), "2026-12", 1),
        (datetime(2026, 12, 31, 23, 0, tzinfo=UTC), "2027-01", 1800),
    ],
)
def test_a_session_over_a_months_end_costs_in_each_what_it_used_in_it(began, month, seconds):
    session = running(began)
    assert cost_in_month(session, began + timedelta(hours=1, minutes=30), month) == CENT.amount_per_second * seconds


def test_seconds_without_a_price_are_not_free_to_a_budget_and_do_not_hide_those_with_one():
    tried = Try(
        region="westus3", gpu_type=GpuType.T4, code="NoCapacity", message="none", at=MIDNIGHT,
        replica_started_at=MIDNIGHT, metered_s=100, rate_per_second=Decimal("0.01"), currency="USD",
    )  # fmt: skip
    session = running(MIDNIGHT + timedelta(hours=1), tries=[tried], rate_per_second=None, currency=None)
    until = MIDNIGHT + timedelta(hours=1, seconds=50)
    assert cost_in_month(session, until, "2026-11") == Decimal("1.00")
    dearer = replace(CENT, amount_per_second=Decimal("0.02"))
    assert accrued_in(book(until, rates={GpuType.T4: dearer}), session, until) == Decimal("2.00")


def test_a_slice_is_held_at_the_price_of_the_gpu_that_it_is_for():
    session = running(MIDNIGHT, running_at=None)
    rates = {GpuType.T4: CENT, GpuType.A100: replace(CENT, amount_per_second=Decimal("0.10"))}
    one = book(MIDNIGHT, rates=rates)
    held = {kind: with_next_slice(one, session, kind, MIDNIGHT) for kind in GpuType}
    assert held[GpuType.T4].authorised == {session.session: Decimal("9.00")}
    assert held[GpuType.A100].authorised == {session.session: Decimal("90.00")}
    assert with_next_slice(replace(one, rates={}), session, GpuType.A100, MIDNIGHT) is None


def test_a_new_month_frees_what_was_held_for_the_old_one():
    ledger = Ledger(
        month="2026-10",
        spent=Decimal(50),
        accrued={"a": Decimal(40)},
        authorised={"a": Decimal(49), "b": Decimal(1)},
    )
    fresh = ledger.brought_to(MIDNIGHT, LineSettings())
    assert (fresh.spent, fresh.accrued) == (0, {})
    assert fresh.authorised == {"a": Decimal(9), "b": Decimal(1)}


def test_what_a_session_has_cost_counts_before_anything_is_held_for_it():
    ledger = Ledger(month="2026-11", accrued={"a": Decimal(40)}, authorised={"b": Decimal(9)})
    assert ledger.committed() == Decimal(49)
    assert ledger.committed(besides="a") == Decimal(9)
    assert book(MIDNIGHT, ledger).budget_left == Decimal(51)


def test_a_newcomer_leaves_the_budget_to_those_who_stand_in_line_before_it():
    line = LineSettings(fairness=Fairness.FIFO)
    first = Waiter(
        session=SessionId("b" * 26), user=UserId("bob"), gpu_types=(GpuType.T4,),
        since=MIDNIGHT - timedelta(minutes=1), until=MIDNIGHT + timedelta(hours=1),
    )  # fmt: skip
    late = replace(first, session=SessionId("c" * 26), user=UserId("carol"), since=MIDNIGHT)
    settings = GpuSettings(
        budget=HARD, line=line, gpu_types=(GpuTypeSetting(type=GpuType.T4, max_concurrent=4),),
        serverless_gpu_sessions_settings=ServerlessGpuSessionsSettings(
            serverless_gpu_sessions_mode=Mode.AUTO_DEPLOY, max_concurrent_sessions_per_project=4
        ),
    )  # fmt: skip
    one = book(MIDNIGHT, Ledger(month="2026-11", spent=Decimal(90)), rates={GpuType.T4: CENT})
    one = replace(one, settings=settings, line=Line([first], Shares(), line))
    assert not isinstance(decide(one, Wish(waiter=late, wait=True)), Admit)


def test_a_percentage_is_told_again_where_the_budget_was_raised_and_not_otherwise():
    ledger = Ledger(month="2026-11", spent=Decimal(90), alerted=(50, 80))
    raised = replace_amount(HARD, 150)
    assert still_reached(ledger, HARD) == [50, 80]
    assert still_reached(ledger, raised) == [50]
    told_again = replace(ledger, spent=Decimal(120), alerted=tuple(still_reached(ledger, raised)))
    assert thresholds_reached(told_again, raised) == [80]


def replace_amount(budget: BudgetSettings, amount: int) -> BudgetSettings:
    return BudgetSettings(monthly_amount=Decimal(amount), currency=budget.currency, hard_stop=budget.hard_stop)
