"""Usage reports: whatever is asked, the sums are those of the rows; unknown prices are counted apart."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.names import ProjectId, SessionId, UserId
from shared.domain.pricing import GpuType, Rate, cost_of
from shared.domain.reconciliation import Actual, Missing, reconcile
from shared.domain.records import SessionRow
from shared.domain.states import SessionState
from shared.domain.usage import UsageRow, up_to_now, usage_rows
from shared.domain.usage_report import Dimension, Filter, Interval, Question, amounts_of, report
from tests.session_rows import session_row

ALICE, BOB = UserId("a" * 8), UserId("b" * 8)
RATE = Rate(amount_per_second=Decimal("0.000433"), currency="USD")
FIRST, LAST = date(2028, 1, 1), date(2028, 12, 31)


def session(number: int, began: datetime, lasts_s: float | None, **more: object) -> SessionRow:
    """A session that ran so long, or still runs; at a known rate unless `more` says otherwise."""
    columns: dict[str, object] = {
        "session": SessionId(f"{number:026d}"),
        "user": ALICE,
        "state": SessionState.RUNNING if lasts_s is None else SessionState.ENDED,
        "ended_at": None if lasts_s is None else began + timedelta(seconds=lasts_s),
        "settled": lasts_s is not None,
        "rate_per_second": RATE.amount_per_second,
        "currency": RATE.currency,
    }
    return session_row(began, **{**columns, **more})


def rows_of(*sessions: SessionRow, until: datetime = datetime(2029, 1, 1, tzinfo=UTC)) -> list[UsageRow]:
    return [row for one in sessions for _, row in usage_rows(one, until)]


labels = st.dictionaries(st.sampled_from(["team", "job"]), st.sampled_from(["x", "y", ""]))
usage = st.lists(
    st.builds(
        UsageRow,
        project=st.just(ProjectId("demo")),
        session=st.sampled_from([SessionId(letter * 26) for letter in "abcdefg"]),
        user=st.sampled_from([ALICE, BOB]),
        user_name=st.sampled_from(["", "alice@demo.example"]),
        gpu_type=st.sampled_from(GpuType),
        region=st.sampled_from(["westus3", "swedencentral", None]),
        day=st.dates(FIRST - timedelta(days=3), LAST + timedelta(days=3)),
        seconds=st.integers(0, 86_400),
        cost=st.none() | st.decimals(0, 1_000_000, places=6),
        currency=st.sampled_from(["USD", "USD", "USD", "EUR", None]),
        labels=labels,
        settled=st.booleans(),
    ),
    max_size=40,
)
questions = st.builds(
    Question,
    first=st.just(FIRST),
    last=st.dates(FIRST, LAST),
    interval=st.sampled_from(Interval),
    by=st.lists(st.sampled_from(Dimension), unique=True).map(tuple),
    label=st.sampled_from(["team", "job"]),
    only=st.builds(
        Filter,
        user=st.none() | st.sampled_from([ALICE, BOB]),
        gpu_type=st.none() | st.sampled_from(GpuType),
        region=st.none() | st.just("westus3"),
        label=st.none() | st.just(("team", "x")) | st.just(("job", None)),
    ),
)


@given(usage, questions)
def test_lines_add_up_to_the_rows_exactly_however_they_are_told_apart(rows, question):
    told = report(rows, question)

    counted = [row for row in rows if FIRST <= row.day <= question.last and question.only.takes(row)]
    priced = [row.cost for row in counted if row.cost is not None and row.currency == "USD"]
    assert sum((line.amounts.cost or 0 for line in told.lines), Decimal(0)) == sum(priced, Decimal(0))
    assert sum(line.amounts.seconds for line in told.lines) == sum(row.seconds for row in counted)
    assert told.totals == amounts_of(counted)
    assert sum(line.amounts.unpriced_seconds for line in told.lines) == told.totals.unpriced_seconds
    assert any(line.amounts.estimated for line in told.lines) == told.totals.estimated
    keys = [(line.start, tuple(line.group.values())) for line in told.lines]
    assert len(set(keys)) == len(keys)
    assert [line.start for line in told.lines] == sorted(line.start for line in told.lines)


@given(usage, questions, questions)
def test_totals_are_the_same_whatever_the_grouping(rows, question, other):
    asked = [
        Question(first=FIRST, last=LAST, interval=one.interval, by=one.by, label=one.label, only=question.only)
        for one in (question, other)
    ]

    first, second = (report(rows, one).totals for one in asked)

    assert first == second


@given(usage)
def test_what_has_no_price_is_never_a_cost_of_nothing(rows):
    for line in report(rows, Question(first=FIRST, last=LAST, by=(Dimension.SESSION,))).lines:
        own = [row for row in rows if row.session == line.group[Dimension.SESSION] and row.day == line.start]
        assert (line.amounts.cost is None) == all(row.cost is None or row.currency != "USD" for row in own)


@pytest.mark.parametrize(
    ("began", "lasts_s", "days"),
    [
        (datetime(2028, 2, 28, 23, 59, 50, tzinfo=UTC), 86_420, {"02-28": 10, "02-29": 86_400, "03-01": 10}),
        (datetime(2027, 2, 28, 23, 59, 50, tzinfo=UTC), 20, {"02-28": 10, "03-01": 10}),
        (datetime(2028, 12, 31, 23, 59, 59, tzinfo=UTC), 2, {"12-31": 1, "01-01": 1}),
        (datetime(2028, 4, 30, 0, 0, 0, tzinfo=UTC), 86_400, {"04-30": 86_400}),
    ],
    ids=["leap day", "no leap day", "new year", "a whole last day"],
)
def test_time_is_counted_on_the_utc_day_on_which_it_passed(began, lasts_s, days):
    rows = rows_of(session(1, began, lasts_s), until=began + timedelta(days=9))

    told = report(rows, Question(first=began.date(), last=began.date() + timedelta(days=9)))

    assert {f"{line.start:%m-%d}": line.amounts.seconds for line in told.lines} == days
    assert told.totals.cost == cost_of(lasts_s, RATE)


def test_months_and_the_whole_are_named_by_their_first_day():
    rows = rows_of(session(1, datetime(2028, 2, 29, 12, tzinfo=UTC), 86_400))
    asked = {"first": date(2028, 2, 10), "last": date(2028, 3, 31)}

    months = report(rows, Question(**asked, interval=Interval.MONTH)).lines
    (whole,) = report(rows, Question(**asked, interval=Interval.TOTAL)).lines

    assert [(line.start, line.amounts.seconds) for line in months] == [
        (date(2028, 2, 1), 43_200),
        (date(2028, 3, 1), 43_200),
    ]
    assert (whole.start, whole.amounts.sessions) == (date(2028, 2, 10), 1)


def test_a_user_goes_by_the_name_that_was_last_seen():
    early = session(1, datetime(2028, 1, 1, tzinfo=UTC), 60, user_name="zoe.maiden@demo.example")
    late = session(2, datetime(2028, 1, 2, tzinfo=UTC), 60, user_name="zoe.married@demo.example")

    question = Question(first=FIRST, last=LAST, interval=Interval.TOTAL, by=(Dimension.USER,))

    assert [line.user_name for line in report(rows_of(early, late), question).lines] == ["zoe.married@demo.example"]


def test_a_running_session_counts_up_to_now_and_a_settled_row_stays():
    began = datetime(2028, 5, 1, 23, 0, tzinfo=UTC)
    running = session(1, began, None)
    booked = [pair for pair in usage_rows(running, began + timedelta(minutes=10))]
    now = began + timedelta(hours=2)

    fresh = up_to_now(booked, [running], now)
    assert sum(row.seconds for row in fresh) == 7200
    assert sum(row.cost for row in fresh) == cost_of(7200, RATE)
    assert not any(row.settled for row in fresh)

    ended = session(1, began, 1800)
    settled = list(usage_rows(ended, now))
    assert up_to_now(settled, [running], now)[0] == settled[0][1], "read before it was settled: the row is newer"
    assert up_to_now(settled, [ended], now) == [row for _, row in settled]


def test_an_estimate_that_is_ahead_of_this_clock_is_not_taken_back():
    began = datetime(2028, 5, 1, 9, tzinfo=UTC)
    running = session(1, began, None)
    ahead = list(usage_rows(running, began + timedelta(seconds=100)))

    (row,) = up_to_now(ahead, [running], began + timedelta(seconds=40))

    assert row.seconds == 100


# reconciliation


def usd(amount: str) -> Actual:
    return Actual(amount=Decimal(amount), currency="USD")


def test_both_sides_of_a_session_stand_beside_each_other_and_missing_ones_are_named():
    began = datetime(2028, 5, 1, 9, tzinfo=UTC)
    same, more, unbilled, unpriced, euros = (session(number, began, 1000) for number in range(5))
    unpriced = msgspec.structs.replace(unpriced, rate_per_second=None)
    unbooked = SessionId("z" * 26)
    actual = {
        same.session: usd("0.433"),
        more.session: usd("0.5"),
        unpriced.session: usd("0.5"),
        euros.session: Actual(amount=Decimal("0.4"), currency="EUR"),
        unbooked: usd("7"),
    }

    told = reconcile(rows_of(same, more, unbilled, unpriced, euros), actual)

    by_session = {entry.session: entry for entry in told.differences}
    assert by_session[same.session].amount == 0
    assert by_session[more.session].amount == Decimal("0.067")
    assert by_session[unbilled.session].missing is Missing.ACTUAL
    assert by_session[unbooked].missing is Missing.ESTIMATED
    assert (by_session[unpriced.session].estimated, by_session[unpriced.session].amount) == (None, None)
    assert by_session[euros.session].amount is None, "two currencies are not compared"
    assert told.differences[0].session == more.session, "the largest difference comes first"
    assert (told.estimated, told.actual, told.amount) == (Decimal("0.866"), Decimal("0.933"), Decimal("0.067"))
    assert (told.compared, told.missing(Missing.ACTUAL), told.missing(Missing.ESTIMATED)) == (2, 1, 1)


@given(usage, st.dictionaries(st.sampled_from("abcdefghij"), st.decimals(0, 1000, places=6)))
def test_every_session_of_either_side_is_told_once_and_sums_are_of_what_is_compared(rows, billed):
    actual = {SessionId(letter * 26): Actual(amount=amount, currency="USD") for letter, amount in billed.items()}

    told = reconcile(rows, actual)

    assert sorted(entry.session for entry in told.differences) == sorted({row.session for row in rows} | actual.keys())
    assert told.amount == sum((entry.amount or 0 for entry in told.differences), Decimal(0))
