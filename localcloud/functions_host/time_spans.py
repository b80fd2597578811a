"""Time spans as .NET reads and writes them: `00:05:00`, `1.00:00:00`, `00:00:00.5`."""

import re
from datetime import timedelta

_TIME_SPAN = re.compile(r"(?:(?P<d>\d{1,8})\.)?(?P<h>\d{1,8}):(?P<m>\d{1,2})(?::(?P<s>\d{1,2})(?P<f>\.\d{1,7})?)?")
_DAYS = re.compile(r"\d{1,8}")


def parse_time_span(text: str) -> timedelta | None:
    """Read a time span; None where the text is none.

    As in .NET a number by itself is days, and so is a first part over 23: `24:00:00` is 24 days, not one.
    """
    if _DAYS.fullmatch(text):
        return timedelta(days=int(text))
    match = _TIME_SPAN.fullmatch(text)
    if match is None:
        return None
    part = match.groupdict(default="0")
    days, hours, minutes, seconds = (int(part[name]) for name in "dhms")
    if hours > 23 and match["d"] is None and match["s"] is not None and match["f"] is None:
        days, hours, minutes, seconds = hours, minutes, seconds, 0
    if hours > 23 or minutes > 59 or seconds > 59:
        return None
    return timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds + float(part["f"]))


def format_time_span(span: timedelta) -> str:
    """Write a time span, whole seconds where there are no others."""
    days, rest = divmod(span, timedelta(days=1))
    seconds, fraction = divmod(rest, timedelta(seconds=1))
    text = f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    text += f".{fraction // timedelta(microseconds=1):06}" if fraction else ""
    return f"{days}.{text}" if days else text
