"""Policy replay: it decides as admission did, never beyond a cap, and says what it does not know."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from heapq import heappop, heappush

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.admission import Admit, Book, Refuse, Wait, Wish, after_admission, decide, promotions
from shared.domain.demand import Record, record_of
from shared.domain.errors import ErrorCode
from shared.domain.fates import fate_of
from shared.domain.ledger import Ledger
from shared.domain.line import Line
from shared.domain.names import ProjectId, SessionId, UserId
from shared.domain.pricing import GpuType, Rate, cost_of
from shared.domain.quiet import SHORTEST_S, quiet_seen
from shared.domain.records import Asked, SessionRow, ShellRow, Try
from shared.domain.replay import replay
from shared.domain.replay_report import difference, figures
from shared.domain.settings import (
    BudgetSettings,
    Fairness,
    GpuSettings,
    GpuTypeSetting,
    IdleSettings,
    LineSettings,
    Mode,
    ServerlessGpuSessionsSettings,
)
from shared.domain.states import EndReason, SessionState
from shared.domain.use import Doubt

START = datetime(2026, 11, 1, tzinfo=UTC)
UNTIL = START + timedelta(days=2)
USERS = [UserId("alice"), UserId("bob"), UserId("carol")]
T4, A100 = GpuType.T4, GpuType.A100
PRICE = Decimal("0.000433")
READY = timedelta(seconds=40)


def settings(
    *, cap=2, per_user=9, idle_minutes=30.0, lifetime_minutes=480.0, budget=None, a100=None, mode=None, **line
):
    types = [GpuTypeSetting(type=T4)]
    if a100 is not None:
        types.append(GpuTypeSetting(type=A100, max_concurrent=a100, fallback=True))
    return GpuSettings(
        serverless_gpu_sessions_settings=ServerlessGpuSessionsSettings(
            serverless_gpu_sessions_mode=mode or Mode.AUTO_DEPLOY, max_concurrent_sessions_per_project=cap
        ),
        max_concurrent_sessions_per_user=per_user,
        gpu_types=tuple(types),
        idle=IdleSettings(timeout_minutes=idle_minutes),
        max_lifetime_minutes=lifetime_minutes,
        line=LineSettings(**{"timeout_minutes": 1440.0, "max_length": 500, **line}),
        budget=budget,
    )


@dataclass(frozen=True)
class Ask:
    at_s: int
    user: UserId
    uses_s: int
    waits: bool = True


def row(number: int, ask: Ask, **more) -> SessionRow:
    asked_at = START + timedelta(seconds=ask.at_s)
    columns = {
        "project": ProjectId("demo"),
        "session": SessionId(f"{number:026d}"),
        "user": ask.user,
        "user_name": f"{ask.user}@demo.example",
        "state": SessionState.ENDED,
        "gpu_type": T4,
        "image": "image",
        "regions": ["westus3"],
        "created_at": asked_at,
        "booked_at": asked_at,
        "shells": [],
        "asked": Asked(),
        "waits": ask.waits,
        "idle_timeout_s": 1800.0,
        "max_lifetime_s": 28_800.0,
        **more,
    }
    return SessionRow(**columns)


def ran(number: int, ask: Ask, held_from: datetime, **more) -> SessionRow:
    """A session that got its place at this instant, was used and closed by its user."""
    stopping_at = held_from + READY + timedelta(seconds=ask.uses_s)
    return row(
        number,
        ask,
        **{
            "held_from": held_from,
            "replica_started_at": held_from + READY / 2,
            "running_at": held_from + READY,
            "active_at": stopping_at,
            "quiet_at_most_s": 0.0,
            "stopping_at": stopping_at,
            "ended_at": stopping_at + timedelta(seconds=5),
            "end_reason": EndReason.SHELLS_CLOSED,
            "rate_per_second": PRICE,
            "currency": "USD",
            **more,
        },
    )


def refused(number: int, ask: Ask, code: ErrorCode) -> SessionRow:
    at = START + timedelta(seconds=ask.at_s)
    return row(number, ask, ended_at=at, end_reason=EndReason.REFUSED, error_code=code, metered_s=0)


def lived(asks: list[Ask], policy: GpuSettings) -> list[SessionRow]:
    """The rows that a project with this policy leaves: the desk's own steps, one event after the other, all in full."""
    ledger, line, rows = Ledger(), {}, {}
    due: list[tuple[datetime, int, int]] = []

    def book(now: datetime) -> Book:
        present = ledger.brought_to(now, policy.line)
        waiters = [waiter for waiter, _ in line.values()]
        return Book(settings=policy, ledger=present, line=Line(waiters, present.shares, policy.line), now=now)

    def begin(number: int, ask: Ask, now: datetime) -> None:
        rows[number] = ran(number, ask, now)
        heappush(due, (rows[number].ended_at, 0, number))

    for number, ask in enumerate(asks):
        heappush(due, (START + timedelta(seconds=ask.at_s), 1, number))
    while due:
        now, kind, number = heappop(due)
        ask, present = asks[number], book(now)
        if kind == 0:
            ledger = present.ledger.without_one(T4, ask.user)
        else:
            wish = Wish(waiter=waiter_of(number, ask), wait=ask.waits)
            match decide(present, wish):
                case Admit():
                    ledger = after_admission(present, T4, ask.user).ledger
                    begin(number, ask, now)
                case Wait():
                    ledger, line[number] = present.ledger, (wish.waiter, ask)
                case Refuse(problem=problem):
                    rows[number] = refused(number, ask, problem.code)
        ledger, grants = promotions(book(now))
        for grant in grants:
            given = int(grant.waiter.session)
            _, waited = line.pop(given)
            begin(given, waited, now)
    return [rows[number] for number in sorted(rows)]


def waiter_of(number: int, ask: Ask):
    return msgspec.structs.replace(row(number, ask), wait_until=START + timedelta(days=30)).waiter


def record(rows: list[SessionRow], until: datetime = UNTIL) -> Record:
    return record_of(rows, START, until, "USD")


asks = st.lists(
    st.builds(Ask, st.integers(0, 20_000), st.sampled_from(USERS), st.integers(60, 9_000), st.booleans()),
    min_size=1,
    max_size=30,
    unique_by=lambda ask: ask.at_s,
).map(lambda found: sorted(found, key=lambda ask: ask.at_s))
policies = st.builds(
    settings,
    cap=st.integers(1, 5),
    per_user=st.integers(1, 5),
    fairness=st.sampled_from(Fairness),
    entry_penalty_minutes=st.sampled_from([0.0, 10.0]),
)


@given(demand=asks, policy=policies)
def test_a_replay_under_the_recorded_settings_is_what_was_recorded(demand, policy):
    rows = lived(demand, policy)

    fates = replay(record(rows, START + timedelta(days=30)), policy)

    assert [(one.held_from, one.held_until, one.end, one.refused) for one in fates] == [
        (one.held_from, one.ended_at if one.held_from else None, one.end_reason, one.error_code) for one in rows
    ]
    assert [one.seconds for one in fates] == [fate_of(one, UNTIL, "USD").seconds for one in rows]


@given(demand=asks, cap=st.integers(1, 4), more=st.integers(1, 4))
def test_a_higher_cap_never_adds_a_wait_where_the_first_to_come_is_the_first_to_go(demand, cap, more):
    patient = [Ask(ask.at_s, ask.user, ask.uses_s) for ask in demand]
    rows = [ran(number, ask, START + timedelta(seconds=ask.at_s)) for number, ask in enumerate(patient)]
    of = record(rows, START + timedelta(days=30))

    narrow, wide = (replay(of, settings(cap=at, per_user=99, fairness=Fairness.FIFO)) for at in (cap, cap + more))

    assert all(b.wait_s <= a.wait_s for a, b in zip(narrow, wide, strict=True))


@given(recorded=policies, demand=asks, proposed=policies)
def test_no_cap_is_exceeded_at_any_instant_of_a_replay(recorded, demand, proposed):
    fates = replay(record(lived(demand, recorded)), proposed)

    places = [(one.held_from, one.held_until or UNTIL, one.user) for one in fates if one.held_from is not None]
    for at, _, _ in places:
        present = [user for since, until, user in places if since <= at < until]
        assert len(present) <= proposed.project_cap
        assert max(present.count(user) for user in USERS) <= proposed.max_concurrent_sessions_per_user


@given(demand=asks, policy=policies)
def test_equal_settings_make_no_difference_and_money_is_a_sum_to_the_last_digit(demand, policy):
    of = record(lived(demand, policy))
    fates = replay(of, policy)

    found = difference(fates, replay(of, policy), of.since)
    assert (found.saved, found.gpu_seconds_saved, found.most_delayed) == (Decimal(0), 0, ())
    assert (found.users_waiting_longer, found.users_turned_away, found.users_stopped) == (0, 0, 0)
    costs = [cost_of(one.seconds, Rate(amount_per_second=PRICE, currency="USD")) for one in fates]
    assert figures(fates, of.since, of.until, policy.project_cap).cost == sum(costs, Decimal(0))


@given(demand=asks, recorded=policies, proposed=policies)
def test_what_is_saved_is_the_difference_of_the_costs_where_every_session_has_a_price(demand, recorded, proposed):
    of = record(lived(demand, recorded))
    before, after = replay(of, recorded), replay(of, proposed)
    costs = [figures(fates, of.since, of.until, 1).cost for fates in (before, after)]

    found = difference(before, after, of.since)
    assert found.not_compared == sum(a.cost is None or b.cost is None for a, b in zip(before, after, strict=True))
    if not found.not_compared:
        assert found.saved == costs[0] - costs[1]


def idle(number: int = 0, *, active_s: float, quiet=(), at_most_s=None, limit_s: float = 1800.0, **more) -> SessionRow:
    """A session that was left idle, and stopped for it."""
    running_at = START + READY
    active_at = running_at + timedelta(seconds=active_s)
    stopping_at = active_at + timedelta(seconds=limit_s + 1)
    known = {"active_at": active_at, "quiet": list(quiet), "quiet_at_most_s": at_most_s} if at_most_s else {}
    columns = {
        "active_at": None,
        "quiet_at_most_s": None,
        "stopping_at": stopping_at,
        "ended_at": stopping_at + timedelta(seconds=5),
        "end_reason": EndReason.IDLE,
        "idle_timeout_s": limit_s,
        **known,
        **more,
    }
    return ran(number, Ask(0, USERS[0], 0), START, **columns)


def only(rows: list[SessionRow], policy: GpuSettings):
    (fate,) = replay(record(rows), policy)
    return fate


def minutes_held(fate) -> float:
    return round((fate.held_until - fate.held_from - READY).total_seconds() / 60, 1)


@pytest.mark.parametrize(
    ("limit_minutes", "minutes", "doubt"),
    [(30, 40.1, None), (60, 70.1, Doubt.AT_MOST), (20, 30.1, None)],
)
def test_one_left_idle_is_stopped_so_long_after_its_last_activity(limit_minutes, minutes, doubt):
    """Whether its user would have come back within a longer limit is not known."""
    fate = only([idle(active_s=600, quiet=[(600.0, 1801.0)], at_most_s=1801.0)], settings(idle_minutes=limit_minutes))

    assert (fate.end, fate.doubt, minutes_held(fate)) == (EndReason.IDLE, doubt, minutes)


def test_a_shorter_idle_limit_stops_at_the_first_quiet_spell_that_reaches_it():
    busy = idle(active_s=7200, quiet=[(300.0, 400.0), (1200.0, 900.0), (7200.0, 1801.0)], at_most_s=1801.0)

    assert minutes_held(only([busy], settings(idle_minutes=15))) == pytest.approx(20 + 15, abs=0.2)
    assert minutes_held(only([busy], settings(idle_minutes=6))) == pytest.approx(5 + 6, abs=0.2)
    assert minutes_held(only([busy], settings(idle_minutes=20))) == pytest.approx(120 + 20, abs=0.2)


def waited_for(**more) -> SessionRow:
    """One whose GPU was busy ten minutes after it began to run, when its client was last heard; grace: 90 minutes."""
    lapses_at = START + READY + timedelta(seconds=600 + 150)
    stopping_at = lapses_at + timedelta(minutes=90, seconds=1)
    return ran(
        0,
        Ask(0, USERS[0], 0),
        START,
        active_at=START + READY + timedelta(minutes=10),
        quiet_at_most_s=60.0,
        busy_until=stopping_at,
        lease_grace_s=5400.0,
        stopping_at=stopping_at,
        ended_at=stopping_at + timedelta(seconds=5),
        **{"end_reason": EndReason.LEASE_LAPSED, **more},
    )


@pytest.mark.parametrize(("grace_minutes", "minutes"), [(90, 102.5), (45, 57.5), (120, 132.5)])
def test_one_that_was_busy_when_it_was_last_heard_ends_after_any_grace_and_not_as_idle(grace_minutes, minutes):
    policy = settings()
    policy = msgspec.structs.replace(
        policy, idle=msgspec.structs.replace(policy.idle, grace_minutes=float(grace_minutes))
    )
    fate = only([waited_for()], policy)

    assert (fate.end, fate.doubt) == (EndReason.LEASE_LAPSED, Doubt.AT_LEAST)
    assert minutes_held(fate) == pytest.approx(minutes, abs=0.2)


def test_a_quiet_that_was_not_recorded_is_said_to_be_unknown_and_not_guessed():
    closed = ran(0, Ask(0, USERS[0], 7200), START, active_at=None, quiet_at_most_s=None)
    fate = only([closed], settings(idle_minutes=20))
    assert (fate.end, fate.doubt, minutes_held(fate)) == (EndReason.SHELLS_CLOSED, Doubt.IDLE_UNKNOWN, 120.1)

    kept_busy = ran(0, Ask(0, USERS[0], 7200), START, quiet_at_most_s=900.0)
    assert only([kept_busy], settings(idle_minutes=20)).doubt is None
    assert only([kept_busy], settings(idle_minutes=15)).doubt is Doubt.IDLE_UNKNOWN


def test_one_cut_short_by_its_lifetime_wanted_at_least_that_long():
    running_at = START + READY
    stopped = running_at + timedelta(hours=8, seconds=1)
    cut = ran(
        0,
        Ask(0, USERS[0], 0),
        START,
        active_at=stopped,
        stopping_at=stopped,
        ended_at=stopped + timedelta(seconds=5),
        end_reason=EndReason.MAX_LIFETIME,
    )

    assert (only([cut], settings()).end, only([cut], settings()).doubt) == (EndReason.MAX_LIFETIME, None)
    longer = only([cut], settings(lifetime_minutes=600))
    assert (longer.end, longer.doubt, minutes_held(longer)) == (None, Doubt.AT_LEAST, 480.1)
    shorter = only([cut], settings(lifetime_minutes=60))
    assert (shorter.end, shorter.doubt, minutes_held(shorter)) == (EndReason.MAX_LIFETIME, None, 60.1)


def test_one_that_was_refused_is_taken_to_be_used_as_the_median_is():
    asks = [Ask(0, USERS[0], 600), Ask(10, USERS[1], 1200), Ask(20, USERS[2], 9000)]
    rows = [ran(number, ask, START + timedelta(seconds=ask.at_s)) for number, ask in enumerate(asks)]
    rows.append(refused(3, Ask(30, USERS[0], 0, waits=False), ErrorCode.PROJECT_CAP_REACHED))

    again = replay(record(rows), settings(cap=3))[3]
    assert (again.refused, again.cost) == (ErrorCode.PROJECT_CAP_REACHED, Decimal(0))
    admitted = replay(record(rows), settings(cap=4))[3]
    assert (admitted.doubt, minutes_held(admitted)) == (Doubt.ASSUMED, 20.1)
    assert admitted.cost == cost_of(admitted.seconds, Rate(amount_per_second=PRICE, currency="USD"))


def test_where_nothing_has_run_nothing_is_assumed():
    rows = [refused(0, Ask(0, USERS[0], 0), ErrorCode.PROJECT_CAP_REACHED)]
    fate = only(rows, settings())
    assert (fate.doubt, fate.ran, fate.seconds) == (Doubt.UNKNOWN, False, 0)


def test_sessions_without_a_price_are_counted_apart_and_cost_nothing_made_up():
    ask = Ask(0, USERS[0], 600)
    rows = [ran(0, ask, START), ran(1, ask, START, rate_per_second=None), ran(2, ask, START, currency="EUR")]
    of = record(rows)
    fates = replay(of, settings(cap=3))

    found = figures(fates, of.since, of.until, 3)
    assert (found.unpriced, found.cost) == (2, fates[0].cost)
    assert difference(fates, fates, of.since).not_compared == 2


def test_waits_are_those_of_who_waited_and_none_where_nobody_did():
    asks = [Ask(number, USERS[number % 3], 600) for number in range(5)]
    rows = [ran(number, ask, START + timedelta(seconds=ask.at_s)) for number, ask in enumerate(asks)]
    of = record(rows)

    found = figures(replay(of, settings(cap=1)), of.since, of.until, 1)
    assert (found.at_once, found.waited, found.most_at_once) == (1, 4, 1)
    assert found.waits.p50_s < found.waits.p95_s == found.waits.max_s
    assert figures(replay(of, settings(cap=5)), of.since, of.until, 5).waits is None


def test_who_would_have_waited_is_told_the_longest_first():
    asks = [Ask(0, USERS[0], 3000), Ask(10, USERS[1], 600), Ask(20, USERS[2], 600)]
    rows = [ran(number, ask, START + timedelta(seconds=ask.at_s)) for number, ask in enumerate(asks)]
    of = record(rows)

    found = difference(replay(of, settings(cap=3)), replay(of, settings(cap=1)), of.since)
    assert [one.user for one in found.most_delayed] == [USERS[2], USERS[1]]
    assert found.users_waiting_longer == 2
    turned_away = difference(replay(of, settings(cap=3)), replay(of, settings(cap=1, timeout_minutes=1)), of.since)
    assert turned_away.users_turned_away == 2


def test_one_that_gave_up_in_line_gives_up_again_unless_its_turn_comes_first():
    ask, gives_up = Ask(0, USERS[0], 3600), Ask(10, USERS[1], 0)
    left_at = START + timedelta(seconds=600)
    rows = [ran(0, ask, START), row(1, gives_up, ended_at=left_at, end_reason=EndReason.CANCELLED, metered_s=0)]
    of = record(rows)

    fates = replay(of, settings(cap=1))
    assert (fates[1].end, fates[1].held_from) == (EndReason.CANCELLED, None)
    assert figures(fates, of.since, of.until, 1).gave_up == 1
    assert replay(of, settings(cap=2))[1].held_from == START + timedelta(seconds=10)


def test_what_lives_is_counted_until_now_and_what_held_a_place_before_is_not_asked_anew():
    lives = ran(
        0,
        Ask(-3600, USERS[0], 0),
        START - timedelta(hours=1),
        active_at=None,
        stopping_at=None,
        ended_at=None,
        end_reason=None,
    )
    of = record_of([lives, ran(1, Ask(60, USERS[1], 60), START)], START, START + timedelta(hours=1), "USD")
    fates = replay(of, settings(cap=2))

    found = figures(fates, of.since, of.until, 2)
    assert (found.sessions, found.most_at_once) == (1, 2)
    assert (fates[0].end, fates[0].seconds) == (None, 7200 - 20)


def test_a_hard_budget_is_whole_again_in_the_next_month():
    budget = BudgetSettings(monthly_amount=Decimal(1), hard_stop=True)
    days = [timedelta(days=day) for day in (0, 1, 31)]
    rows = [ran(number, Ask(int(day.total_seconds()), USERS[0], 3600), START + day) for number, day in enumerate(days)]
    fates = replay(record(rows, START + timedelta(days=40)), settings(budget=budget))

    assert [one.refused for one in fates] == [None, None, None]
    costly = [msgspec.structs.replace(one, rate_per_second=PRICE * 2) for one in rows]
    again = replay(
        record([msgspec.structs.replace(one, waits=False) for one in costly], START + timedelta(days=40)),
        settings(budget=budget),
    )
    assert [one.refused for one in again] == [None, ErrorCode.BUDGET_EXHAUSTED, None]


def test_a_disabled_project_is_replayed_as_one_that_refuses_everybody():
    rows = [ran(0, Ask(0, USERS[0], 60), START)]
    assert only(rows, settings(mode=Mode.DISABLED)).refused is ErrorCode.GPU_DISABLED


def test_who_named_no_type_falls_back_as_the_proposed_settings_say_at_the_price_that_is_known():
    asks = [Ask(0, USERS[0], 600), Ask(10, USERS[1], 600)]
    rows = [ran(number, ask, START + timedelta(seconds=ask.at_s)) for number, ask in enumerate(asks)]
    named = [msgspec.structs.replace(one, asked=Asked(gpu_type=T4), waits=False) for one in rows]
    dear = Rate(amount_per_second=Decimal("0.001"), currency="USD")
    policy = settings(cap=2, a100=1)
    policy = msgspec.structs.replace(
        policy, gpu_types=(GpuTypeSetting(type=T4, max_concurrent=1), *policy.gpu_types[1:])
    )

    fallen = replay(record_of(rows, START, UNTIL, "USD", {A100: dear}), policy)[1]
    assert fallen.cost == cost_of(fallen.seconds, dear)
    assert replay(record(rows), policy)[1].cost is None
    assert replay(record(named), policy)[1].refused is ErrorCode.PROJECT_CAP_REACHED


def looked(session: SessionRow, at_s: float, active_s: float, **more) -> SessionRow:
    shell = ShellRow(
        project=session.project,
        user=session.user,
        shell="shell-one",
        session=session.session,
        request="",
        created_at=START,
        last_activity_at=session.running_at + timedelta(seconds=active_s),
        **{"lease_expires_at": UNTIL, **more},
    )
    columns = quiet_seen(session, [shell], session.running_at + timedelta(seconds=at_s))
    return msgspec.structs.replace(session, **columns)


def test_quiet_is_kept_as_the_spells_that_were_longer_than_all_before():
    session = ran(0, Ask(0, USERS[0], 0), START, active_at=None, quiet_at_most_s=None)
    for at_s, active_s in [(600, 590), (1200, 700), (1800, 700), (2400, 2390), (3000, 2400), (3600, 3000)]:
        session = looked(session, at_s, active_s)

    assert session.quiet == [(700.0, 1100.0)]
    assert session.quiet_at_most_s == 1690.0


def test_time_in_which_a_silent_client_was_waited_for_is_no_quiet():
    session = ran(0, Ask(0, USERS[0], 0), START, active_at=None, quiet_at_most_s=None)
    silent = {
        "lease_expires_at": session.running_at + timedelta(seconds=750),
        "busy_until": session.running_at + timedelta(seconds=6150),
    }
    for at_s in (900, 1800, 5400):
        session = looked(session, at_s, 600, **silent)
    assert (session.quiet, session.quiet_at_most_s) == ([], 600.0)
    session = looked(session, 5700, 5500)

    assert (session.quiet, session.quiet_at_most_s) == ([(5500.0, 200.0)], 600.0)
    assert session.busy_until is None


@given(steps=st.lists(st.tuples(st.floats(1, 90_000), st.floats(0, 1)), max_size=200))
def test_what_is_kept_of_quiet_is_bounded_and_never_more_than_there_was(steps):
    session = ran(0, Ask(0, USERS[0], 0), START, active_at=None, quiet_at_most_s=None)
    at_s = active_s = 0.0
    for passes_s, part in steps:
        at_s += passes_s
        active_s = max(active_s, at_s - passes_s * part)
        session = looked(session, at_s, active_s)

    assert len(session.quiet) <= 70
    assert all(lasted >= SHORTEST_S for _, lasted in session.quiet)
    assert all(lasted <= session.quiet_at_most_s + 0.1 for _, lasted in session.quiet)


@pytest.mark.parametrize(
    ("count", "half", "most"), [(1, 1, 1), (2, 1, 2), (4, 2, 4), (10, 5, 10), (20, 10, 19), (21, 11, 20)]
)
def test_half_waited_up_to_the_median_and_19_of_20_up_to_the_95th_percentile(count, half, most):
    asks = [ran(number, Ask(0, USERS[0], 600), START + timedelta(minutes=number + 1)) for number in range(count)]
    found = figures([fate_of(one, UNTIL, "USD") for one in asks], START, UNTIL, 4)
    asked_s = [fate.wait_s for fate in (fate_of(one, UNTIL, "USD") for one in asks)]
    assert (found.waits.p50_s, found.waits.p95_s) == (sorted(asked_s)[half - 1], sorted(asked_s)[most - 1])


def test_a_try_that_was_paid_for_has_its_price_though_the_session_ended_where_there_is_none():
    tried = Try(
        region="westus3", gpu_type=GpuType.T4, code="NoCapacity", message="none", at=START, replica_started_at=START,
        metered_s=100, rate_per_second=Decimal("0.0004"), currency="USD",
    )  # fmt: skip
    session = ran(
        0, Ask(0, USERS[0], 600), START, tries=[tried], replica_started_at=None, rate_per_second=None, currency=None
    )
    fate = fate_of(session, UNTIL, "USD")
    assert (fate.seconds, fate.cost) == (100, Decimal("0.04"))
