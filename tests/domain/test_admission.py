"""Admission and the line as pure decisions: properties, and the edges that have names."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from shared.domain.admission import (
    Admit,
    Book,
    Decision,
    Refuse,
    Wait,
    Wish,
    acceptable_types,
    admissible_type,
    after_admission,
    decide,
    free_for,
    promotions,
)
from shared.domain.errors import ErrorCode
from shared.domain.fairness import MOST_REMEMBERED, WEIGHT, Share, Shares
from shared.domain.ledger import DURATIONS_NEEDED, Ledger
from shared.domain.line import Line, Waiter
from shared.domain.names import SessionId, UserId
from shared.domain.pricing import GpuType, Rate
from shared.domain.settings import (
    BudgetSettings,
    Fairness,
    GpuSettings,
    GpuTypeSetting,
    LineSettings,
    Mode,
    ServerlessGpuSessionsSettings,
)

START = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
ALICE, BOB, CAROL = UserId("alice"), UserId("bob"), UserId("carol")
T4, A100 = GpuType.T4, GpuType.A100


def settings(*, cap=4, per_user=2, t4=None, a100=None, mode=Mode.AUTO_DEPLOY, budget=None, **line) -> GpuSettings:
    types = [GpuTypeSetting(type=T4, max_concurrent=t4)]
    if a100 is not None:
        types.append(GpuTypeSetting(type=A100, max_concurrent=a100, fallback=True))
    return GpuSettings(
        serverless_gpu_sessions_settings=ServerlessGpuSessionsSettings(
            serverless_gpu_sessions_mode=mode, max_concurrent_sessions_per_project=cap
        ),
        max_concurrent_sessions_per_user=per_user,
        gpu_types=tuple(types),
        line=LineSettings(**line),
        budget=budget,
    )


def waiter(number: int, user: UserId = ALICE, *types: GpuType, after_s: float = 0.0, lasts_s: float = 3600.0) -> Waiter:
    since = START + timedelta(seconds=after_s or number)
    return Waiter(
        session=SessionId(f"{number:026d}"),
        user=user,
        gpu_types=types or (T4,),
        since=since,
        until=since + timedelta(seconds=lasts_s),
    )


def book(policy: GpuSettings, ledger: Ledger | None = None, waiters=(), *, at_s: float = 0.0, **quota: int) -> Book:
    ledger = (ledger or Ledger()).brought_to(START + timedelta(seconds=at_s), policy.line)
    return Book(
        settings=policy,
        ledger=ledger,
        line=Line(list(waiters), ledger.shares, policy.line),
        now=START + timedelta(seconds=at_s),
        quota={GpuType(name): left for name, left in quota.items()},
    )


def reserved(*users: UserId, gpu_type: GpuType = T4) -> Ledger:
    ledger = Ledger()
    for user in users:
        ledger = ledger.with_one(gpu_type, user)
    return ledger


def ask(of: Book, user: UserId = ALICE, *types: GpuType, wait: bool = False) -> Decision:
    return decide(of, Wish(waiter=waiter(999, user, *types), wait=wait))


def code_of(decision: Decision) -> ErrorCode:
    assert isinstance(decision, Refuse)
    return decision.problem.code


@given(
    cap=st.integers(1, 6),
    per_user=st.integers(1, 6),
    t4=st.none() | st.integers(0, 6),
    users=st.lists(st.sampled_from([ALICE, BOB]), max_size=20),
)
def test_no_order_of_requests_gets_past_a_cap_and_none_stops_short_of_it(cap, per_user, t4, users):
    present = book(settings(cap=cap, per_user=per_user, t4=t4))
    for user in users:
        free = free_for(present, user, T4)[1]
        decision = ask(present, user)
        assert isinstance(decision, Admit) == (free > 0)
        if isinstance(decision, Admit):
            present = after_admission(present, decision.gpu_type, user)

    allowed = min(cap, t4 if t4 is not None else cap)
    assert present.ledger.reserved <= allowed
    assert present.ledger.reserved == min(allowed, sum(min(per_user, users.count(one)) for one in (ALICE, BOB)))


@given(users=st.lists(st.sampled_from([ALICE, BOB]), max_size=10))
def test_what_is_reserved_and_released_leaves_an_empty_ledger_and_no_second_release(users):
    ledger = reserved(*users)
    for user in users:
        ledger = ledger.without_one(T4, user)

    assert (ledger.by_type, ledger.by_user) == ({}, {})
    with pytest.raises(ValueError, match="released twice"):
        ledger.without_one(T4, ALICE)


def test_a_cap_lowered_below_the_use_admits_nobody():
    assert code_of(ask(book(settings(cap=1), reserved(ALICE, BOB)), CAROL)) is ErrorCode.PROJECT_CAP_REACHED


@pytest.mark.parametrize(
    ("policy", "gpu_type", "code"),
    [
        (settings(mode=Mode.DISABLED), T4, ErrorCode.GPU_DISABLED),
        (settings(), A100, ErrorCode.GPU_TYPE_NOT_ALLOWED),
    ],
)
def test_what_the_settings_refuse_is_refused_whatever_is_free_and_nobody_waits_for_it(policy, gpu_type, code):
    assert code_of(ask(book(policy), ALICE, gpu_type, wait=True)) is code


def test_a_user_at_the_own_limit_may_wait_and_blocks_nobody():
    policy, ledger = settings(per_user=1), reserved(ALICE)
    waits = ask(book(policy, ledger), ALICE, wait=True)
    assert isinstance(waits, Wait)
    assert (waits.place, waits.why.code, waits.estimate_s) == (1, ErrorCode.USER_LIMIT_REACHED, None)

    line = [waiter(1, ALICE), waiter(2, BOB)]
    _, grants = promotions(book(policy, ledger, line))
    assert [grant.waiter.user for grant in grants] == [BOB]


def test_a_session_that_named_no_type_falls_back_where_the_project_allows_it():
    policy = settings(cap=3, t4=1, a100=1)
    assert acceptable_types(policy, None) == (T4, A100)
    assert acceptable_types(policy, T4) == (T4,)

    full = book(policy, reserved(BOB))
    assert ask(full, ALICE, T4, A100) == Admit(A100)
    assert code_of(ask(full, ALICE, T4)) is ErrorCode.PROJECT_CAP_REACHED


def test_a_newcomer_never_passes_one_in_line_who_could_be_admitted():
    one_free = book(settings(cap=1), Ledger(), [waiter(1, BOB)], at_s=60)
    assert code_of(ask(one_free, ALICE)) is ErrorCode.PROJECT_CAP_REACHED
    assert isinstance(ask(book(settings(cap=2), Ledger(), [waiter(1, BOB)], at_s=60), ALICE), Admit)


def test_a_newcomer_leaves_the_last_gpu_of_azures_quota_to_one_in_line():
    last_one = book(settings(), Ledger(), [waiter(1, BOB)], at_s=60, T4=1)
    assert code_of(ask(last_one, ALICE)) is ErrorCode.ENVIRONMENT_QUOTA_REACHED
    assert isinstance(ask(book(settings(), Ledger(), [waiter(1, BOB)], at_s=60, T4=2), ALICE), Admit)


def test_a_line_that_is_full_refuses_and_a_project_without_one_does_too():
    policy = settings(cap=1, max_length=1)
    assert code_of(ask(book(policy, reserved(BOB), [waiter(1, CAROL)]), wait=True)) is ErrorCode.LINE_FULL
    assert code_of(ask(book(settings(cap=1, enabled=False), reserved(BOB)), wait=True)) is ErrorCode.PROJECT_CAP_REACHED


def test_azures_quota_holds_a_request_back_only_where_it_is_known():
    policy = settings()
    assert code_of(ask(book(policy, T4=0))) is ErrorCode.ENVIRONMENT_QUOTA_REACHED
    assert isinstance(ask(book(policy)), Admit)
    present = after_admission(book(policy, T4=1), T4, BOB)
    assert code_of(ask(present)) is ErrorCode.ENVIRONMENT_QUOTA_REACHED


RATE = Rate(amount_per_second=Decimal("0.0004"), currency="USD")


def priced(policy: GpuSettings, ledger: Ledger) -> Book:
    return replace(book(policy, ledger), rates={T4: RATE}, slice=timedelta(minutes=15))


def test_a_hard_budget_admits_only_whose_first_slice_it_bears():
    hard = BudgetSettings(monthly_amount=Decimal(10), hard_stop=True)
    slice_cost = Decimal("0.36")
    barely = replace(Ledger(), month="2026-11", spent=Decimal(10) - slice_cost)
    assert isinstance(ask(priced(settings(budget=hard), barely)), Admit)
    short = replace(barely, spent=barely.spent + Decimal("0.000001"))
    assert code_of(ask(priced(settings(budget=hard), short))) is ErrorCode.BUDGET_EXHAUSTED
    held = replace(barely, spent=Decimal(0), authorised={"another": barely.spent + Decimal("0.01")})
    assert code_of(ask(priced(settings(budget=hard), held))) is ErrorCode.BUDGET_EXHAUSTED


def test_what_one_admission_holds_the_next_one_lacks():
    hard = BudgetSettings(monthly_amount=Decimal("0.5"), hard_stop=True)
    first = priced(settings(budget=hard), Ledger())
    assert isinstance(ask(first), Admit)
    after = after_admission(first, T4, ALICE, SessionId("first"))
    assert after.ledger.authorised == {"first": Decimal("0.36")}
    assert code_of(ask(after, BOB)) is ErrorCode.BUDGET_EXHAUSTED
    assert isinstance(ask(replace(after, ledger=after.ledger.settled(SessionId("first"), Decimal("0.1"))), BOB), Admit)


def test_a_soft_budget_and_a_new_month_hold_nobody_back_and_a_hard_one_without_a_price_does():
    spent = replace(reserved(), month="2026-11", spent=Decimal(10))
    soft = BudgetSettings(monthly_amount=Decimal(10))
    assert isinstance(ask(priced(settings(budget=soft), spent)), Admit)
    hard = BudgetSettings(monthly_amount=Decimal(10), hard_stop=True)
    last_month = replace(reserved(), month="2026-10", spent=Decimal(10))
    assert isinstance(ask(priced(settings(budget=hard), last_month)), Admit)
    assert code_of(ask(book(settings(budget=hard)))) is ErrorCode.BUDGET_EXHAUSTED


def test_an_estimate_is_the_place_times_the_time_between_two_ends_and_unknown_without_recent_sessions():
    policy, ledger = settings(cap=2), reserved(BOB, CAROL)
    unknown = ask(book(policy, ledger), wait=True)
    assert isinstance(unknown, Wait)
    assert unknown.estimate_s is None

    for _ in range(DURATIONS_NEEDED):
        ledger = ledger.having_lasted(T4, timedelta(minutes=10))
    third = ask(book(policy, ledger, [waiter(1, BOB), waiter(2, CAROL)], at_s=5), wait=True)
    assert isinstance(third, Wait)
    assert third.estimate_s == third.place * 300.0


def test_one_whose_time_is_over_is_not_promoted_any_more():
    line = [waiter(1, ALICE, lasts_s=10), waiter(2, BOB)]
    _, grants = promotions(book(settings(cap=1), Ledger(), line, at_s=60))
    assert [grant.waiter.user for grant in grants] == [BOB]


def test_fifo_is_by_arrival_whoever_has_used_what():
    line = [waiter(2, BOB), waiter(1, ALICE), waiter(3, CAROL)]
    used = Ledger(shares=Shares(at=START, by_user={ALICE: Share(10_000.0, 0.0)}))
    order = [one.user for one in book(settings(fairness=Fairness.FIFO), used, line).line]
    assert order == [ALICE, BOB, CAROL]
    assert [one.user for one in book(settings(), used, line).line] == [BOB, CAROL, ALICE]


def test_a_burst_of_one_user_comes_between_the_others_and_not_before_them():
    line = [*(waiter(number, ALICE) for number in range(1, 6)), waiter(6, BOB), waiter(7, CAROL)]
    order = [one.user for one in book(settings(per_user=9), Ledger(), line).line]
    assert order[:3] == [ALICE, BOB, CAROL]


waiters = st.lists(
    st.builds(
        lambda number, user, types: (number, user, types),
        st.integers(1, 500),
        st.sampled_from([ALICE, BOB, CAROL]),
        st.sampled_from([(T4,), (A100,), (T4, A100)]),
    ),
    max_size=15,
    unique_by=lambda one: one[0],
)
uses = st.dictionaries(st.sampled_from([ALICE, BOB, CAROL]), st.floats(0, 50_000), max_size=3)


@given(
    waiting=waiters,
    used=uses,
    cap=st.integers(0, 8),
    t4=st.integers(0, 8),
    a100=st.integers(0, 4),
    mine=st.integers(1, 5),
)
@example(  # alice's first is given the type that it fell back to, which is not the one it asked for
    waiting=[(1, BOB, (A100,)), (2, ALICE, (T4, A100)), (3, BOB, (A100,)), (4, ALICE, (A100,))],
    used={},
    cap=3,
    t4=0,
    a100=3,
    mine=2,
)
def test_promoting_all_at_once_is_promoting_one_after_the_other(waiting, used, cap, t4, a100, mine):
    """One admission changes nobody's rank among those left: so the whole line may be decided in one transaction."""
    policy = settings(cap=cap, per_user=mine, t4=t4, a100=a100)
    shares = Shares(at=START, by_user={user: Share(seconds, 0.0) for user, seconds in used.items()})
    line = [waiter(number, user, *types) for number, user, types in waiting]
    present = book(policy, Ledger(shares=shares), line)
    _, together = promotions(present)

    singly = []
    while True:
        ledger, grants = promotions(present, limit=1)
        if not grants:
            break
        singly += grants
        line = [one for one in line if one.session != grants[0].waiter.session]
        present = replace(present, ledger=ledger, line=Line(line, ledger.shares, policy.line))

    assert {grant.waiter.session for grant in singly} == {grant.waiter.session for grant in together}
    assert len(together) <= cap


@given(waiting=waiters, used=uses)
def test_the_line_is_in_the_order_of_its_rule_and_a_newcomers_place_is_where_it_would_stand(waiting, used):
    shares = Shares(at=START, by_user={user: Share(seconds, 0.0) for user, seconds in used.items()})
    line = [waiter(number, user, *types) for number, user, types in waiting]
    policy = settings()
    present = book(policy, Ledger(shares=shares), line)
    newcomer = waiter(700, BOB)

    with_newcomer = Line([*line, newcomer], shares, policy.line)
    assert with_newcomer.place_of(newcomer.session) == present.line.place_of_newcomer(newcomer)
    assert with_newcomer.place_of(SessionId("nobody")) is None
    own = [one.order for one in present.line if one.user == ALICE]
    assert own == sorted(own), "a user's own sessions keep their order"


@given(waiting=waiters, used=uses, more=uses)
def test_a_line_that_grows_and_moves_is_the_line_that_is_made_anew(waiting, used, more):
    line_settings = settings().line
    shares = Shares(at=START, by_user={user: Share(seconds, 0.0) for user, seconds in used.items()})
    after = Shares(at=START, by_user={user: Share(seconds, 1.0) for user, seconds in (used | more).items()})
    present: list[Waiter] = []
    grown = Line([], shares, line_settings)
    for number, user, types in waiting:
        present.append(waiter(number, user, *types))
        grown = grown.joined_by(present[-1])

    for line, by in ((grown, shares), (grown.under(after), after), (grown.under(shares), shares)):
        anew = Line(present, by, line_settings)
        assert list(line) == list(anew)
        assert line.wanted == anew.wanted
        for user in (ALICE, BOB, CAROL):
            assert line.rank_of(waiter(700, user)) == anew.rank_of(waiter(700, user))


@given(waiting=waiters, used=uses, cap=st.integers(0, 8), t4=st.integers(0, 8), a100=st.integers(0, 4))
def test_a_promotion_passes_over_those_alone_that_cannot_be_admitted_at_their_turn(waiting, used, cap, t4, a100):
    policy = settings(cap=cap, t4=t4, a100=a100)
    shares = Shares(at=START, by_user={user: Share(seconds, 0.0) for user, seconds in used.items()})
    line = [waiter(number, user, *types, lasts_s=200.0) for number, user, types in waiting]
    present = book(policy, Ledger(shares=shares), line, at_s=450, T4=5)

    ledger, grants = promotions(present)

    expected = present
    by_turn = []
    for one in present.line:
        gpu_type = admissible_type(expected, one)
        if isinstance(gpu_type, GpuType) and one.until > present.now:
            by_turn.append((one.session, gpu_type))
            expected = after_admission(expected, gpu_type, one.user)
    assert [(grant.waiter.session, grant.gpu_type) for grant in grants] == by_turn
    assert ledger == expected.ledger


def test_use_halves_in_a_half_life_and_what_is_held_adds_up_exactly():
    half_life = timedelta(hours=1)
    used = Shares(at=START, by_user={ALICE: Share(800.0, 0.0)}).brought_to(START + half_life, half_life)
    assert used.of(ALICE).used_s == pytest.approx(400.0)

    holding = Shares(at=START).admitted(BOB, A100, timedelta(0))
    slowly = holding
    for minute in range(1, 61):
        slowly = slowly.brought_to(START + timedelta(minutes=minute), half_life)
    at_once = holding.brought_to(START + timedelta(hours=1), half_life)
    assert slowly.of(BOB).used_s == pytest.approx(at_once.of(BOB).used_s)
    assert 0 < at_once.of(BOB).used_s < 3600 * WEIGHT[A100]
    assert at_once.released(BOB, A100).of(BOB).rate == 0.0


def test_use_is_remembered_of_those_who_hold_something_and_of_the_heaviest():
    many = {UserId(f"user-{number}"): Share(float(number), 0.0) for number in range(MOST_REMEMBERED + 50)}
    many[ALICE] = Share(0.5, 1.0)
    kept = Shares(at=START, by_user=many).brought_to(START + timedelta(seconds=1), timedelta(days=1)).by_user
    assert len(kept) == MOST_REMEMBERED
    assert ALICE in kept
    assert UserId("user-5") not in kept
