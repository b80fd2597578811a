"""The pure decisions: properties, and the edges that have names."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain import names
from shared.domain.activity import activity_instant
from shared.domain.lease import HoldFacts, ShellFacts, deadline, planned_end, reason_to_stop
from shared.domain.names import UserId
from shared.domain.pricing import GpuType, Rate, cost_of, metered_seconds, segments, session_rate, split_by_day
from shared.domain.provisioning import seconds_to_next_look
from shared.domain.states import FOLLOWING, EndReason, IllegalTransition, SessionState, check_transition

START = datetime(2026, 11, 21, 23, 0, tzinfo=UTC)
RATE = Rate(amount_per_second=Decimal("0.000433"), currency="USD")
ALICE, BOB = UserId("a" * 8), UserId("b" * 8)
spans = st.timedeltas(min_value=timedelta(seconds=1), max_value=timedelta(days=2))


def held(*, active_after=timedelta(0), lease=timedelta(days=9), idle=timedelta(days=1), life=timedelta(days=5)):
    shell = ShellFacts(lease_expires_at=START + lease, last_activity_at=START + active_after, closed=False)
    return HoldFacts(shells=(shell,), running_at=START, idle_timeout=idle, max_lifetime=life, lease_grace=timedelta(0))


@given(idle=spans, life=spans, lease=spans, active=spans, longer=spans)
def test_activity_never_shortens_a_session_nor_lets_it_outlive_its_lifetime_or_lease(idle, life, lease, active, longer):
    sooner = deadline(held(active_after=active, lease=lease, idle=idle, life=life))
    later = deadline(held(active_after=active + longer, lease=lease, idle=idle, life=life))

    assert sooner.at <= later.at <= START + min(life, lease)


@given(idle=spans, life=spans, lease=spans, active=spans)
def test_a_session_is_stopped_at_its_deadline_and_not_a_moment_before(idle, life, lease, active):
    facts = held(active_after=active, lease=lease, idle=idle, life=life)
    end = deadline(facts)

    assert reason_to_stop(facts, end.at) is end.reason
    assert reason_to_stop(facts, end.at - timedelta(microseconds=1)) is None


def test_on_a_tie_the_lifetime_is_named_since_activity_would_not_have_helped():
    facts = held(idle=timedelta(hours=1), life=timedelta(hours=1), lease=timedelta(hours=1))

    assert deadline(facts).reason is EndReason.MAX_LIFETIME


def test_a_session_that_does_not_run_yet_has_a_lease_and_no_idle_time():
    shell = ShellFacts(lease_expires_at=START + timedelta(minutes=2), last_activity_at=START, closed=False)
    facts = HoldFacts(
        shells=(shell,), running_at=None, idle_timeout=timedelta(1), max_lifetime=timedelta(1), lease_grace=timedelta(0)
    )

    assert deadline(facts).reason is EndReason.LEASE_LAPSED
    assert planned_end(facts) is None


@pytest.mark.parametrize(("running_at", "reason"), [(START, EndReason.SHELLS_CLOSED), (None, EndReason.CANCELLED)])
def test_a_session_whose_shells_are_all_closed_ends_at_once(running_at, reason):
    shell = ShellFacts(lease_expires_at=START + timedelta(days=1), last_activity_at=START, closed=True)
    facts = HoldFacts(
        shells=(shell, shell),
        running_at=running_at,
        idle_timeout=timedelta(1),
        max_lifetime=timedelta(1),
        lease_grace=timedelta(0),
    )

    assert reason_to_stop(facts, START) is reason


def test_one_open_shell_keeps_the_session_of_two():
    closed = ShellFacts(lease_expires_at=START, last_activity_at=START, closed=True)
    facts = held()
    both = HoldFacts(
        shells=(closed, *facts.shells),
        running_at=START,
        idle_timeout=facts.idle_timeout,
        max_lifetime=facts.max_lifetime,
        lease_grace=timedelta(0),
    )

    assert reason_to_stop(both, START + timedelta(hours=1)) is None


def test_the_planned_end_leaves_the_lease_out_since_the_client_renews_it():
    end = planned_end(held(lease=timedelta(seconds=150), idle=timedelta(minutes=30)))

    assert end is not None
    assert (end.reason, end.at) == (EndReason.IDLE, START + timedelta(minutes=30))


@given(seconds=st.floats(min_value=-1e6, max_value=1e6))
def test_reported_activity_is_never_in_the_future_and_never_moves_back(seconds):
    previous = START - timedelta(hours=1)

    instant = activity_instant(seconds, START, previous)

    assert previous <= instant <= START


@given(started=st.datetimes(datetime(2024, 1, 1), datetime(2028, 12, 31)), seconds=st.integers(0, 20 * 86_400))
def test_the_days_of_a_metered_span_add_up_to_it_in_seconds_and_in_money(started, seconds):
    at = started.replace(tzinfo=UTC)
    pieces = list(segments(at, seconds, RATE))

    assert sum(piece.seconds for piece in pieces) == seconds
    assert sum((piece.cost for piece in pieces if piece.cost is not None), Decimal(0)) == cost_of(seconds, RATE)
    assert len({piece.day for piece in pieces}) == len(pieces)


def test_a_span_over_the_leap_day_is_booked_on_it():
    days = dict(split_by_day(datetime(2028, 2, 28, 23, 59, 30, tzinfo=UTC), 86_400 + 60))

    assert [f"{day:%m%d}" for day in days] == ["0228", "0229", "0301"]
    assert list(days.values()) == [30, 86_400, 30]


def test_a_second_that_has_begun_counts_and_a_replica_never_seen_costs_nothing():
    assert metered_seconds(START, START + timedelta(seconds=10, microseconds=1)) == 11
    assert metered_seconds(None, START) == 0


def test_the_rate_of_a_t4_adds_gpu_cpus_and_memory():
    """Derived in reference/azure.md 7.3: a T4 session in eastus is 1.559 USD an hour."""
    prices = {
        "Standard NC T4 v3 GPU Usage": Decimal("0.000073"),
        "Standard vCPU Active Usage": Decimal("0.000024"),
        "Standard Memory Active Usage": Decimal("0.000003"),
    }

    rate = session_rate(GpuType.T4, prices, "USD")

    assert rate is not None
    assert rate.amount_per_hour == Decimal("1.5588")
    assert session_rate(GpuType.A100, prices, "USD") is None


@pytest.mark.parametrize("before", SessionState)
@pytest.mark.parametrize("after", SessionState)
def test_only_listed_transitions_are_allowed(before, after):
    if after in FOLLOWING[before]:
        check_transition(before, after)
        return
    with pytest.raises(IllegalTransition, match=f"from {before} to {after}"):
        check_transition(before, after)


def test_every_state_leads_to_ended_and_a_held_gpu_only_through_stopping():
    reached = {SessionState.ENDED}
    while grown := {state for state in SessionState if FOLLOWING[state] & reached} - reached:
        reached |= grown

    assert reached == set(SessionState)
    assert [s for s in SessionState if SessionState.ENDED in FOLLOWING[s]] == [
        SessionState.REQUESTED,
        SessionState.WAITING,
        SessionState.STOPPING,
    ]


@given(st.text(max_size=80))
def test_no_text_becomes_a_key_unless_it_keeps_to_the_characters_of_keys(text):
    for made in (names.project_id(text), names.shell_id(text), names.session_id(text), names.user_id(text)):
        assert made is None or set(made) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")


def test_an_app_is_traced_to_its_session_whatever_case_azure_writes_it_in():
    session = names.SessionId("abcdefghijklmnopqrstuvwxyz")

    assert names.session_of_app(names.app_name(session).upper()) == session
    assert names.session_of_app("somebody-elses-app") is None
    assert len(names.app_name(session)) <= 32


def test_looks_grow_further_apart_and_stay_few():
    pauses = [seconds_to_next_look(look) for look in range(30)]

    assert pauses == sorted(pauses)
    assert sum(pauses) > 200
