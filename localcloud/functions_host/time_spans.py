"""Time spans as .NET writes them: `00:05:00`, `1.00:00:00`, `00:00:00.5`."""

import re
from datetime import timedelta

_TIME_SPAN = re.compile(r"(?:(?P<d>\d+)\.)?(?P<h>\d{1,2}):(?P<m>\d{1,2})(?::(?P<s>\d{1,2})(?P<f>\.\d{1,7})?)?")


def parse_time_span(text: str) -> timedelta | None:
    """Read a time span; None where the text is none."""
    match = _TIME_SPAN.fullmatch(text)
    if match is None:
        return None
    part = match.groupdict(default="0")
    return timedelta(
        days=int(part["d"]), hours=int(part["h"]), minutes=int(part["m"]), seconds=int(part["s"]) + float(part["f"])
    )


def format_time_span(span: timedelta) -> str:
    """Write a time span, whole seconds where there are no others."""
    days, rest = divmod(span, timedelta(days=1))
    seconds, fraction = divmod(rest, timedelta(seconds=1))
    text = f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    text += f".{fraction // timedelta(microseconds=1):06}" if fraction else ""
    return f"{days}.{text}" if days else text
