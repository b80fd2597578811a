"""Durations as people write them on a command line."""

from __future__ import annotations

import re
from datetime import timedelta

import click

WRITTEN = re.compile(r"(?:(\d{1,6})h)?(?:(\d{1,6})m)?(?:(\d{1,6})s)?")


class Duration(click.ParamType[timedelta]):
    """90s, 30m, 2h, 1h30m; a bare number is minutes."""

    name = "duration"

    def __init__(self, *, may_be_zero: bool = False) -> None:
        self._may_be_zero = may_be_zero

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        text = str(value).strip().lower()
        found = WRITTEN.fullmatch(f"{text}m" if text.isdecimal() else text)
        if found is None or not any(found.groups()):
            self.fail(f"'{value}' is no duration: write 90s, 30m, 2h or 1h30m; a bare number is minutes", param, ctx)
        hours, minutes, seconds = (int(part or 0) for part in found.groups())
        lasts = timedelta(hours=hours, minutes=minutes, seconds=seconds)
        if not lasts and not self._may_be_zero:
            self.fail(f"'{value}' is no time at all: give more than 0", param, ctx)
        return lasts


def minutes_of(lasts: timedelta) -> float:
    """In minutes, without a decimal point where there is nothing behind it."""
    minutes = lasts / timedelta(minutes=1)
    return int(minutes) if minutes.is_integer() else minutes
