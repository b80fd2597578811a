from __future__ import annotations

from datetime import timedelta

import click
import pytest

from devboxgpu.commands.durations import Duration, minutes_of


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("30m", 1800), ("2h", 7200), ("1h30m", 5400), ("1h0m5s", 3605), ("45", 2700), (" 2H ", 7200)],
)
def test_a_duration_is_read_as_people_write_it(text: str, seconds: int) -> None:
    assert Duration().convert(text, None, None) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["", "h", "soon", "1.5h", "-5", "30m1h", "5 m", "1d", "9999999h", "1h30"])
def test_what_is_no_duration_is_refused_with_how_to_write_one(text: str) -> None:
    with pytest.raises(click.BadParameter, match="write 90s, 30m, 2h or 1h30m; a bare number is minutes"):
        Duration().convert(text, None, None)


@pytest.mark.parametrize("text", ["0", "0s", "0h0m"])
def test_no_time_at_all_is_a_duration_only_where_it_makes_sense(text: str) -> None:
    assert Duration(may_be_zero=True).convert(text, None, None) == timedelta()
    with pytest.raises(click.BadParameter, match="more than 0"):
        Duration().convert(text, None, None)


def test_minutes_have_a_decimal_point_only_where_it_says_something() -> None:
    assert [repr(minutes_of(timedelta(seconds=seconds))) for seconds in (90, 120)] == ["1.5", "2"]
