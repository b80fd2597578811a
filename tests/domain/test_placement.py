"""Where a session is tried first and next, what is remembered of it, and how far a session may be extended."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from shared.domain.errors import ErrorCode, Problem
from shared.domain.extension import extended
from shared.domain.memory import Remembered, likely_short, remembering
from shared.domain.names import ProjectId, SessionId, UserId
from shared.domain.placement import Outlook, Place, environments_of, next_place
from shared.domain.pricing import GpuType
from shared.domain.records import SessionRow
from shared.domain.settings import GpuSettings, RegionSetting
from shared.domain.states import SessionState

NOW = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
T4, A100 = GpuType.T4, GpuType.A100
WEST, SWEDEN = "westus3", "swedencentral"


def test_places_come_in_order_types_before_regions():
    tried: list[Place] = []
    while (place := next_place([WEST, SWEDEN], [T4, A100], tried, Outlook(), NOW)) is not None:
        tried.append(place)
    assert [str(place) for place in tried] == ["westus3/T4", "swedencentral/T4", "westus3/A100", "swedencentral/A100"]


def test_a_region_whose_quota_is_used_up_or_that_has_just_failed_comes_last_and_still_comes():
    quota = Outlook(free={Place(WEST, T4): 0})
    assert next_place([WEST, SWEDEN], [T4], (), quota, NOW) == Place(SWEDEN, T4)
    assert next_place([WEST, SWEDEN], [T4], [Place(SWEDEN, T4)], quota, NOW) == Place(WEST, T4)

    failed = Outlook(memory={Place(WEST, T4): remembering(None, NOW, ready_s=None)})
    assert next_place([WEST, SWEDEN], [T4], (), failed, NOW) == Place(SWEDEN, T4)
    assert next_place([WEST, SWEDEN], [T4], (), failed, NOW + timedelta(hours=1)) == Place(WEST, T4)


def test_memory_fades_and_a_success_after_a_failure_clears_it():
    known = remembering(remembering(None, NOW, ready_s=None), NOW + timedelta(minutes=1), ready_s=40.0)
    assert not likely_short(known, NOW + timedelta(minutes=2))
    assert known.ready_s == 40.0
    again = remembering(known, NOW + timedelta(minutes=2), ready_s=60.0)
    assert again.ready_s == pytest.approx(50.0, abs=0.1)
    later = remembering(again, NOW + timedelta(days=7, minutes=2), ready_s=None)
    assert later.successes == pytest.approx(1.0, abs=0.01)


def test_an_hour_that_mostly_fails_is_short_once_there_is_enough_to_say_so():
    known = Remembered(at=NOW, successes=1.0, failures=1.5)
    assert not likely_short(known, NOW)
    assert likely_short(Remembered(at=NOW, successes=1.0, failures=2.5), NOW)
    assert not likely_short(None, NOW)


def test_the_quota_of_a_type_is_known_only_where_all_regions_tell_it():
    free = {Place(WEST, T4): 2, Place(SWEDEN, T4): 1, Place(WEST, A100): 5}
    assert Outlook(regions=(WEST, SWEDEN), free=free).quota() == {T4: 3}
    assert Outlook(free=free).quota() == {}


def test_a_projects_own_environment_stands_before_the_platforms_and_regions_without_one_are_passed_over():
    settings = GpuSettings(
        regions=(
            RegionSetting(name=SWEDEN, order=2),
            RegionSetting(name=WEST, order=1, environment_id="/own"),
            RegionSetting(name="elsewhere", order=3),
        )
    )
    assert environments_of(settings, {WEST: "/platform", SWEDEN: "/sweden"}) == {WEST: "/own", SWEDEN: "/sweden"}


def running(*, max_lifetime_s: float = 3600, extended_s: float = 0.0) -> SessionRow:
    return SessionRow(
        project=ProjectId("demo"),
        session=SessionId("s"),
        user=UserId("u"),
        state=SessionState.RUNNING,
        gpu_type=T4,
        image="i",
        regions=[WEST],
        created_at=NOW,
        booked_at=NOW,
        shells=[],
        running_at=NOW,
        idle_timeout_s=1800,
        max_lifetime_s=max_lifetime_s,
        extended_s=extended_s,
    )


def test_an_extension_within_the_lifetime_only_keeps_idleness_away():
    row = extended(running(), 30, NOW, 3600)
    assert isinstance(row, SessionRow)
    assert (row.keep_until, row.max_lifetime_s, row.extended_s) == (NOW + timedelta(minutes=30), 3600, 0)


def test_an_extension_past_the_lifetime_lengthens_it_by_what_is_short_and_asked_twice_is_asked_once():
    at = NOW + timedelta(minutes=50)
    row = extended(running(), 30, at, 3600)
    assert isinstance(row, SessionRow)
    assert (row.max_lifetime_s, row.extended_s) == (3600 + 1200, 1200)
    assert extended(row, 30, at, 3600) == row


def test_an_extension_past_the_limit_is_refused_with_what_would_be_possible():
    refused = extended(running(extended_s=1800, max_lifetime_s=3600 + 1800), 125, NOW, 3600)
    assert isinstance(refused, Problem)
    assert refused.code is ErrorCode.EXTEND_LIMIT_REACHED
    assert "120 more minutes" in refused.message
    assert isinstance(extended(running(extended_s=1800, max_lifetime_s=3600 + 1800), 120, NOW, 3600), SessionRow)
