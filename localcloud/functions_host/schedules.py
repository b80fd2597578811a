"""When a timer is due: NCRONTAB expressions of five or six fields, and plain intervals.

Unlike cron's, day of month and day of week must both match (reference/functions-host.md 4.4).
"""

from calendar import monthrange
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from itertools import islice, pairwise
from typing import Protocol
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from localcloud.functions_host.app_settings import SettingsError
from localcloud.functions_host.time_spans import parse_time_span

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_YEARS_SEARCHED = 41  # 29 February on a given weekday comes back after at most 40 years
_MINUTE = timedelta(minutes=1)
_OCCURRENCES_COMPARED = 5


class BadSchedule(ValueError):
    """A schedule cannot be read; the text says what it should look like."""


class Schedule(Protocol):
    """Says when something is due next."""

    def next_after(self, moment: datetime) -> datetime | None:
        """The first due time later than `moment`, aware UTC; None where there is none any more."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class IntervalSchedule:
    """Due again and again after the same time."""

    every: timedelta

    def next_after(self, moment: datetime) -> datetime | None:
        return moment + self.every


@dataclass(frozen=True, slots=True, kw_only=True)
class CronSchedule:
    """Due at the times of day and on the days that match; the wall clock of `zone` counts."""

    seconds: tuple[int, ...]
    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    zone: tzinfo

    def next_after(self, moment: datetime) -> datetime | None:
        local = moment.astimezone(self.zone).replace(tzinfo=None)
        for wall_clock in self._from(local):
            due = wall_clock.replace(tzinfo=self.zone).astimezone(UTC)
            if due > moment:
                return due
        return None

    def _from(self, local: datetime) -> Iterator[datetime]:
        """All matching wall clock times of this day from this hour on, and of later days."""
        for day in self._days_from(local.date()):
            first_hour = local.hour if day == local.date() else 0
            for hour in (hour for hour in self.hours if hour >= first_hour):
                for minute in self.minutes:
                    for second in self.seconds:
                        yield datetime.combine(day, time(hour, minute, second))

    def _days_from(self, first: date) -> Iterator[date]:
        for year in range(first.year, first.year + _YEARS_SEARCHED):
            for month in (month for month in range(1, 13) if month in self.months):
                for day in range(1, monthrange(year, month)[1] + 1):
                    candidate = date(year, month, day)
                    if candidate >= first and day in self.days and candidate.isoweekday() % 7 in self.weekdays:
                        yield candidate


def parse_schedule(text: str, zone: tzinfo = UTC) -> Schedule:
    """Read `sec min hour day month weekday`, the same without seconds, or a time span; raises BadSchedule."""
    fields = text.split()
    if len(fields) == 1 and (every := parse_time_span(fields[0])) is not None:
        if every <= timedelta():
            raise BadSchedule(f"the schedule '{text}' is an interval of nothing; give at least a second")
        return IntervalSchedule(every=every)
    if len(fields) not in (5, 6):
        raise BadSchedule(
            f"the schedule '{text}' is neither an NCRONTAB expression of six fields (second minute hour day month "
            "weekday), nor one of five (without the second), nor a time span such as 00:05:00"
        )
    second, minute, hour, day, month, weekday = fields if len(fields) == 6 else ["0", *fields]
    return CronSchedule(
        seconds=_values(text, second, 0, 59),
        minutes=_values(text, minute, 0, 59),
        hours=_values(text, hour, 0, 23),
        days=frozenset(_values(text, day, 1, 31)),
        months=frozenset(_values(text, month, 1, 12, _MONTHS)),
        weekdays=frozenset(_values(text, weekday, 0, 6, _DAYS)),
        zone=zone,
    )


def is_often(schedule: Schedule, now: datetime) -> bool:
    """Whether two of the next due times lie less than a minute apart, so that missed ones are not worth noting."""
    due = list(islice(_occurrences(schedule, now), _OCCURRENCES_COMPARED))
    return any(later - earlier < _MINUTE for earlier, later in pairwise(due))


def zone_of(environ: Mapping[str, str]) -> tzinfo:
    """The zone of the schedules, from WEBSITE_TIME_ZONE or TZ, else UTC; raises SettingsError for an unknown one."""
    for setting in ("WEBSITE_TIME_ZONE", "TZ"):
        name = environ.get(setting, "").removeprefix(":")
        if name:
            try:
                return ZoneInfo(name)
            except (ZoneInfoNotFoundError, ValueError, OSError) as error:
                raise SettingsError(
                    f"{setting} is {name!r}, which is no time zone known here; use a name such as Europe/Berlin"
                ) from error
    return UTC


def _occurrences(schedule: Schedule, moment: datetime) -> Iterator[datetime]:
    due = schedule.next_after(moment)
    while due is not None:
        yield due
        due = schedule.next_after(due)


def _values(text: str, cron_field: str, low: int, high: int, names: tuple[str, ...] = ()) -> tuple[int, ...]:
    found: set[int] = set()
    for item in cron_field.split(","):
        span, slash, step_text = item.partition("/")
        step = int(step_text) if step_text.isdecimal() else 0
        if slash and step < 1:
            raise BadSchedule(f"the schedule '{text}': the step in '{item}' must be a whole number above 0")
        if span == "*":
            first, last = low, high
        else:
            begin, dash, end = span.partition("-")
            first = _number(text, begin, low, high, names)
            last = _number(text, end, low, high, names) if dash else (high if slash else first)
        first, last = min(first, last), max(first, last)
        found.update(range(first, last + 1, step or 1))
    return tuple(sorted(found))


def _number(text: str, word: str, low: int, high: int, names: tuple[str, ...]) -> int:
    if word.isdecimal() and low <= int(word) <= high:
        return int(word)
    folded = word.lower()
    for position, name in enumerate(names):
        if len(folded) >= len(name) and _full_names[name].startswith(folded):
            return low + position
    allowed = f"{low} to {high}" + (f", or {names[0]} to {names[-1]}" if names else "")
    raise BadSchedule(f"the schedule '{text}': '{word}' is not allowed where {allowed} is")


_full_names = {
    name[:3]: name
    for name in (
        *("january", "february", "march", "april", "may", "june", "july", "august", "september", "october"),
        *("november", "december", "sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"),
    )
}
