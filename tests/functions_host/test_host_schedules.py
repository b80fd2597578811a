from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localcloud.functions_host.app_settings import SettingsError
from localcloud.functions_host.schedules import BadSchedule, is_often, parse_schedule, zone_of

NOON = datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC)  # a Saturday


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("schedule", "due"),
    [
        ("*/2 * * * * *", "2026-11-21 12:00:02"),
        ("0 */5 * * * *", "2026-11-21 12:05:00"),
        ("*/5 * * * *", "2026-11-21 12:05:00"),
        ("30 0 9-17 * * MON-FRI", "2026-11-23 09:00:30"),
        ("0 0 0 * * 0", "2026-11-22 00:00:00"),
        ("0 0 0 1 JAN *", "2027-01-01 00:00:00"),
        ("0 0 0 1 january sunday", "2028-01-01 00:00:00"),
        ("0 0 0 29 2 *", "2028-02-29 00:00:00"),
        ("0 10,20 12 * * *", "2026-11-21 12:10:00"),
        ("0 5/20 * * * *", "2026-11-21 12:05:00"),
        ("0 50-40 * * * *", "2026-11-21 12:40:00"),
        ("00:05:00", "2026-11-21 12:05:00"),
        ("1.00:00:00", "2026-11-22 12:00:00"),
    ],
)
def test_the_next_time_is_the_first_that_matches_after_the_moment(schedule, due):
    if "sunday" in schedule:
        due = "2034-01-01 00:00:00"  # the first of January that is a Sunday: both must match

    assert parse_schedule(schedule).next_after(NOON) == at(due)


def test_a_moment_that_matches_is_not_its_own_next_time():
    assert parse_schedule("0 0 12 * * *").next_after(NOON) == NOON + timedelta(days=1)


def test_a_date_that_never_comes_is_never_due():
    assert parse_schedule("0 0 0 30 2 *").next_after(NOON) is None


@pytest.mark.parametrize(
    ("schedule", "says"),
    [
        ("* * *", "six fields"),
        ("60 * * * * *", "'60'"),
        ("0 0 0 * * 7", "'7'"),
        ("0 0 0 * XYZ *", "'XYZ'"),
        ("*/0 * * * * *", "step"),
        ("*/x * * * * *", "step"),
        ("00:00:00", "nothing"),
        ("", "six fields"),
    ],
)
def test_a_bad_schedule_is_refused_with_the_reason(schedule, says):
    with pytest.raises(BadSchedule, match=says):
        parse_schedule(schedule)


def test_an_hour_that_the_clocks_skip_is_left_out_and_one_that_they_repeat_comes_once():
    berlin = ZoneInfo("Europe/Berlin")
    daily = parse_schedule("0 30 2 * * *", berlin)

    spring = daily.next_after(datetime(2026, 3, 28, 12, tzinfo=UTC))
    after_spring = daily.next_after(spring)
    autumn = daily.next_after(datetime(2026, 10, 24, 12, tzinfo=UTC))
    after_autumn = daily.next_after(autumn)

    assert spring < after_spring == datetime(2026, 3, 30, 0, 30, tzinfo=UTC)
    assert autumn == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
    assert after_autumn == datetime(2026, 10, 26, 1, 30, tzinfo=UTC)


@pytest.mark.parametrize(("schedule", "often"), [("*/2 * * * * *", True), ("0 * * * * *", False), ("00:00:30", True)])
def test_a_schedule_under_a_minute_counts_as_often(schedule, often):
    assert is_often(parse_schedule(schedule), NOON) is often


def test_the_zone_comes_from_the_settings():
    assert zone_of({}) is UTC
    assert zone_of({"WEBSITE_TIME_ZONE": "Asia/Tokyo", "TZ": "Europe/Berlin"}) == ZoneInfo("Asia/Tokyo")
    with pytest.raises(SettingsError, match="Nowhere"):
        zone_of({"TZ": "Nowhere/At-All"})


fields = st.tuples(
    st.sampled_from(["*", "*/7", "13", "5-20"]), st.sampled_from(["*", "*/15", "3"]), st.sampled_from(["*", "7"])
)


@given(fields, st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC)))
def test_there_is_no_matching_second_between_a_moment_and_its_next_time(parts, moment):
    schedule = parse_schedule(" ".join([*parts, "*", "*", "*"]))

    due = schedule.next_after(moment)

    assert due > moment
    assert schedule.next_after(due - timedelta(microseconds=1)) == due
    assert schedule.next_after(moment + (due - moment) / 2) == due
