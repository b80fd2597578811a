"""What counts as use, and what idleness makes of it: every case by name, and I8 and I22 over whole lives."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.activity import Activity, Report, Rules, Signal, learned, said_of
from shared.domain.lease import (
    LONGEST_OPENING_GRACE,
    HoldFacts,
    ShellFacts,
    deadline,
    if_quiet,
    planned_end,
    reason_to_stop,
    soonest_decision,
)
from shared.domain.states import EndReason

START = datetime(2026, 11, 21, 23, 0, tzinfo=UTC)
LEASE, GRACE, IDLE = timedelta(seconds=150), timedelta(minutes=90), timedelta(minutes=30)
RULES = Rules(gpu_busy_percent=10.0, waits=LEASE + GRACE)
NOW = START + timedelta(minutes=10)
BUSY = Activity(at=START, signal=Signal.GPU, figure=87.0, busy_until=START + LEASE + GRACE, busy_signal=Signal.GPU)
QUIET = Activity(at=START)


def after(known: Activity, *, lapsed: bool = False, ago_s: float = 600.0, **said) -> Activity:
    return learned(known, Report(active_seconds_ago=ago_s, **said), NOW, RULES, lapsed=lapsed)


@pytest.mark.parametrize(
    ("said", "signal", "figure"),
    [
        ({"gpu_percent": 10.0}, Signal.GPU, 10.0),
        ({"gpu_percent": 100.0, "busy_processes": 4}, Signal.GPU, 100.0),
        ({"gpu_percent": 9.9, "busy_processes": 4}, Signal.PROCESS, 4.0),
        ({"busy_processes": 1}, Signal.PROCESS, 1.0),
    ],
)
def test_a_gpu_at_the_policys_percent_or_a_busy_process_is_activity_now(said, signal, figure):
    found = after(QUIET, **said)

    assert (found.at, found.signal, found.figure) == (NOW, signal, figure)
    assert (found.busy_until, found.busy_signal) == (NOW + LEASE + GRACE, signal)


@pytest.mark.parametrize("said", [{}, {"gpu_percent": 9.9}, {"gpu_percent": 0.0, "busy_processes": 0}])
def test_what_is_not_known_or_below_the_policys_percent_is_no_activity(said):
    assert after(QUIET, **said) == QUIET


@pytest.mark.parametrize(("percent", "is_busy"), [(0.0, False), (0.1, True)])
def test_a_gpu_that_does_nothing_is_idle_even_where_the_policy_says_zero_percent(percent, is_busy):
    assert (Report(active_seconds_ago=0, gpu_percent=percent).busy(0.0) is not None) is is_busy


def test_what_was_typed_last_is_named_and_older_typing_moves_nothing_back():
    assert after(BUSY, ago_s=60).signal is Signal.TERMINAL
    assert after(BUSY, ago_s=60).at == NOW - timedelta(seconds=60)
    assert after(BUSY, ago_s=6000) == BUSY


def test_a_report_that_does_not_know_of_what_was_busy_is_no_no():
    assert after(BUSY).busy_until == BUSY.busy_until
    assert after(BUSY, busy_processes=0).busy_until == BUSY.busy_until


def test_a_report_that_knows_that_it_is_quiet_ends_the_wait():
    quiet = after(BUSY, gpu_percent=0.0)

    assert (quiet.busy_until, quiet.busy_signal) == (None, None)
    assert (quiet.at, quiet.signal, quiet.figure) == (START, Signal.GPU, 87.0)


def test_who_comes_back_after_having_been_waited_for_has_the_idle_time_once():
    back = after(BUSY, lapsed=True, gpu_percent=0.0)
    again = after(back, lapsed=True, gpu_percent=0.0)

    assert (back.at, back.signal, back.busy_until) == (NOW, Signal.CLIENT, None)
    assert again == back
    assert after(QUIET, lapsed=True) == QUIET


def test_somebody_who_connects_is_activity():
    assert after(QUIET, connects=True) == Activity(at=NOW, signal=Signal.CLIENT)


@pytest.mark.parametrize(
    ("signal", "figure", "words"),
    [
        (Signal.GPU, 87.4, "the GPU was busy (87 %)"),
        (Signal.PROCESS, 1.0, "a process was busy"),
        (Signal.PROCESS, 3.0, "3 processes were busy"),
        (Signal.TERMINAL, None, "something was typed or printed"),
        (Signal.CLIENT, None, "a client connected"),
        (None, None, "it was last active"),
    ],
)
def test_each_signal_has_its_words(signal, figure, words):
    assert said_of(signal, figure) == words


def held(known: Activity, lease_until: datetime, **more) -> HoldFacts:
    shell = ShellFacts(
        lease_expires_at=lease_until, last_activity_at=known.at, closed=False, busy_until=known.busy_until
    )
    facts = HoldFacts(
        shells=(shell,), running_at=START, idle_timeout=IDLE, max_lifetime=timedelta(days=7), lease_grace=GRACE
    )
    return replace(facts, **more)


def test_a_client_that_falls_silent_is_waited_for_after_a_busy_report_and_not_after_a_quiet_one():
    busy, quiet = deadline(held(BUSY, START + LEASE)), deadline(held(QUIET, START + LEASE))

    assert (busy.at, busy.reason) == (START + LEASE + GRACE, EndReason.LEASE_LAPSED)
    assert (quiet.at, quiet.reason) == (START + IDLE, EndReason.IDLE)


def test_one_that_goes_on_renewing_and_never_says_more_idles_when_it_has_been_waited_for():
    end = deadline(held(BUSY, START + timedelta(days=1)))

    assert (end.at, end.reason) == (START + LEASE + GRACE, EndReason.IDLE)
    assert planned_end(held(BUSY, START + LEASE)) == end


def test_the_lifetime_ends_a_busy_session_too():
    end = deadline(held(BUSY, START + LEASE, max_lifetime=timedelta(minutes=40)))

    assert (end.at, end.reason) == (START + timedelta(minutes=40), EndReason.MAX_LIFETIME)


def test_a_closed_shell_keeps_nothing_by_having_been_busy():
    busy, quiet = held(BUSY, START + LEASE).shells[0], held(QUIET, START + timedelta(days=1)).shells[0]
    facts = held(BUSY, START + LEASE, shells=(replace(busy, closed=True), quiet))

    assert reason_to_stop(facts, START + IDLE) is EndReason.IDLE


def test_a_session_that_does_not_run_yet_waits_for_its_client_an_hour_at_most():
    end = deadline(held(QUIET, START + LEASE, running_at=None, lease_grace=timedelta(hours=24)))

    assert (end.at, end.reason) == (START + LEASE + LONGEST_OPENING_GRACE, EndReason.LEASE_LAPSED)


def test_a_driver_looks_when_the_session_would_be_idle_if_it_fell_quiet_now_and_once_that_is_past_at_its_end():
    facts = held(BUSY, START + LEASE)

    assert soonest_decision(facts, START) == START + IDLE
    assert soonest_decision(facts, START + IDLE) == START + LEASE + GRACE


@dataclass(frozen=True)
class Said:
    """A report of a life: what it knows, and what a reader of it alone concludes (None: nothing)."""

    report: Report
    is_busy: bool | None


QUIET_SAID = Said(Report(active_seconds_ago=1e6, gpu_percent=3.0, busy_processes=0), is_busy=False)
SAID = st.sampled_from(
    [
        QUIET_SAID,
        Said(Report(active_seconds_ago=1e6, gpu_percent=60.0, busy_processes=0), is_busy=True),
        Said(Report(active_seconds_ago=1e6, busy_processes=2), is_busy=True),
        Said(Report(active_seconds_ago=1e6), is_busy=None),
        Said(Report(active_seconds_ago=0.0), is_busy=None),
    ]
)
LIVES = st.lists(st.tuples(st.integers(1, 8000), SAID), min_size=1, max_size=12)


def lived(life: list[tuple[int, Said]]):
    """Yield after each report of a life: its instant, the facts, and when a busy report came that nothing has outdated.

    A life ends where its session would have been stopped.
    """
    known, at, lease_until, busy_at = QUIET, START, START + LEASE, None
    for passes_s, said in life:
        at += timedelta(seconds=passes_s)
        if deadline(held(known, lease_until)).at <= at:
            return
        came_back = busy_at is not None and lease_until <= at
        known = learned(known, said.report, at, RULES, lapsed=lease_until <= at)
        lease_until = at + LEASE
        if said.is_busy:
            busy_at = at
        elif said.is_busy is False or came_back:
            busy_at = None
        yield at, known, held(known, lease_until), busy_at


@given(life=LIVES)
def test_i8_no_life_is_stopped_as_idle_while_its_last_known_report_was_busy_and_its_client_is_waited_for(life):
    for _, _, facts, busy_at in lived(life):
        end = deadline(facts)
        if busy_at is not None and end.reason is EndReason.IDLE:
            assert end.at >= busy_at + LEASE + GRACE


@given(life=LIVES)
def test_i22_a_life_that_falls_quiet_ends_within_its_idle_time_and_any_within_its_lease_and_grace(life):
    for at, known, facts, busy_at in lived(life):
        assert deadline(facts).at <= at + LEASE + GRACE
        if busy_at is None:
            assert deadline(facts).at <= known.at + IDLE
        assert deadline(facts).at <= max(known.at + IDLE, at + LEASE + GRACE)


@given(life=LIVES, follows=SAID, after_s=st.integers(1, 8000))
def test_no_report_makes_a_session_end_before_the_driver_looks_unless_that_is_past_already(life, follows, after_s):
    for at, known, facts, _ in lived(life):
        looks_at, then = soonest_decision(facts, at), at + timedelta(seconds=after_s)
        if then >= looks_at:
            continue
        later = learned(known, follows.report, then, RULES, lapsed=at + LEASE <= then)
        end = deadline(held(later, then + LEASE)).at
        assert end >= looks_at or deadline(if_quiet(facts)).at <= at
