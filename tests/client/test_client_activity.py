from __future__ import annotations

import math

import pytest

from devboxgpu.activity import FRESH_S, Activity
from devboxgpu.wire import ExecAccess, LeaseRenewal


class Clock:
    now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def activity(clock: Clock) -> Activity:
    return Activity(clock)


def test_what_nobody_has_seen_is_left_out_of_a_report(activity: Activity, clock: Clock) -> None:
    clock.now_s += 42

    assert activity.report().body() == {"activeSecondsAgo": 42}


def test_what_the_agent_saw_is_reported_and_an_idle_gpu_is_a_figure_too(activity: Activity) -> None:
    activity.observed(0.0, 0)

    assert activity.report().body() == {"activeSecondsAgo": 0, "gpuUtilizationPercent": 0.0, "busyProcesses": 0}


def test_a_gpu_that_cannot_be_asked_is_left_out_and_its_processes_are_not(activity: Activity) -> None:
    activity.observed(87.0, 2)
    activity.observed(None, 2)

    assert activity.report().body() == {"activeSecondsAgo": 0, "busyProcesses": 2}


def test_what_was_seen_long_ago_is_not_known_any_more(activity: Activity, clock: Clock) -> None:
    activity.observed(87.0, 2)
    clock.now_s += FRESH_S + 1

    assert activity.report().body() == {"activeSecondsAgo": int(FRESH_S) + 1}


@pytest.mark.parametrize(("percent", "busy"), [(-1.0, -1), (100.5, 10**9), (math.nan, -5), (math.inf, None)])
def test_a_figure_that_cannot_be_is_not_known_rather_than_refused_by_the_service(
    activity: Activity, percent: float, busy: int | None
) -> None:
    activity.observed(percent, busy)

    assert activity.report().body() == {"activeSecondsAgo": 0}


def test_bytes_of_another_client_in_the_container_count_and_never_move_the_last_ones_back(
    activity: Activity, clock: Clock
) -> None:
    clock.now_s += 100
    activity.observed(None, None, terminal_s=7.0)
    first = activity.seconds_ago()
    activity.observed(None, None, terminal_s=50.0)
    activity.observed(None, None, terminal_s=math.nan)

    assert (first, activity.seconds_ago()) == (7, 7)


def test_a_renewal_tells_when_the_session_stops_and_why() -> None:
    told = LeaseRenewal.read({"renewAfterSeconds": 30, "stopsAt": "2026-11-21T22:30:00Z", "stopReason": "Idle"})
    nothing = LeaseRenewal.read({"renewAfterSeconds": 30})

    assert told.stops_at is not None
    assert (told.stops_at.isoformat(), told.stop_reason) == ("2026-11-21T22:30:00+00:00", "Idle")
    assert (nothing.stops_at, nothing.stop_reason) == (None, None)


def test_the_way_in_tells_how_long_the_agent_waits_for_somebody() -> None:
    way_in = {"execUrl": "wss://e", "token": "t"}

    assert ExecAccess.read({**way_in, "silenceSeconds": 1170.0}).silence_s == 1170.0
    assert ExecAccess.read(way_in).silence_s is None
