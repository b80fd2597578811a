"""What a query asks for, read and checked: days, instants, users, sizes of pages. Faults are named."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta

from api.call import Call
from shared.domain import names
from shared.domain.errors import ErrorCode, Refused
from shared.domain.names import UserId

MOST_DAYS = 400
LARGEST_PAGE = 1000
DEFAULT_PAGE = 100
YEARS = range(1971, 9999)
"""Years in which a day more or less, and an offset, is still one that a calendar has and a key can hold."""
YEARS_RULE = f"from {YEARS.start} to {YEARS.stop - 1}"
_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)


def wrong(name: str, rule: str) -> Refused:
    """Return the refusal of a query parameter that does not keep to its rule."""
    return Refused(400, ErrorCode.INVALID_PARAMETER, f"'{name}' must be {rule}.", target=name)


def days_asked(call: Call, *, usual_first: date | None = None) -> tuple[date, date]:
    """Return the UTC days `from` and `to`, both included.

    Up to today where `to` is not given; from `usual_first`, or else the first of the last day's month, on.
    """
    today = call.world.now().astimezone(UTC).date()
    last = _day(call, "to") or today
    first = _day(call, "from") or min(last, usual_first or last.replace(day=1))
    _check_order(first, last, timedelta(days=MOST_DAYS - 1))
    return first, last


def instants_asked(call: Call, *, usual: timedelta) -> tuple[datetime, datetime]:
    """Return `from` and `to`: the time up to now, as long as `usual`, where they are not given.

    A day stands for its beginning, in `to` for its end; days are UTC's.
    """
    end = _instant(call, "to", day_ends=True) or call.world.now() + timedelta(seconds=1)
    first = _instant(call, "from", day_ends=False) or end - usual
    _check_order(first, end, timedelta(days=MOST_DAYS))
    return first, end


def user_asked(call: Call) -> UserId | None:
    """Return the user that `user` names, None where it is not given."""
    asked = call.query.get("user")
    if asked is None:
        return None
    user = call.caller.user if asked == "me" else names.user_id(asked)
    if user is None:
        raise wrong("user", names.USER_RULE)
    return user


def text_asked(call: Call, name: str) -> str | None:
    """Return a parameter's text, None where it is not given. An empty one is refused: it would filter nothing."""
    text = call.query.get(name)
    if text is not None and not text.strip(" ,"):
        raise wrong(name, "something to look for, or left out")
    return text


def page_size(call: Call) -> int:
    text = call.query.get("maxpagesize", str(DEFAULT_PAGE))
    if not (text.isascii() and text.isdigit()) or not 1 <= int(text) <= LARGEST_PAGE:
        raise wrong("maxpagesize", f"a whole number from 1 to {LARGEST_PAGE}")
    return int(text)


def _check_order(first: date, last: date, most: timedelta) -> None:
    if first > last:
        raise wrong("from", "before 'to', which is now where it is not given")
    if last - first > most:
        raise wrong("from", f"at most {MOST_DAYS} days before 'to'")


def _day(call: Call, name: str) -> date | None:
    text = call.query.get(name)
    if text is None:
        return None
    day = _as_day(text)
    if day is None:
        raise wrong(name, f"a day as YYYY-MM-DD, in UTC, {YEARS_RULE}")
    return day


def _as_day(text: str) -> date | None:
    try:
        day = date.fromisoformat(text) if _DAY.fullmatch(text) else None
    except ValueError:
        return None
    return day if day is not None and day.year in YEARS else None


def _instant(call: Call, name: str, *, day_ends: bool) -> datetime | None:
    text = call.query.get(name)
    if text is None:
        return None
    if (day := _as_day(text)) is not None:
        return datetime.combine(day + timedelta(days=day_ends), time(), UTC)
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        at = None
    if at is None or at.tzinfo is None or at.year not in YEARS:
        instant = "an instant of RFC 3339 with its offset, such as 2026-11-21T09:00:00Z"
        raise wrong(name, f"a day as YYYY-MM-DD or {instant}, {YEARS_RULE}")
    return at.astimezone(UTC)
