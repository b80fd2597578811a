"""JSON as .NET reads and writes it, where that shows: numbers with an exponent, and times inside of texts."""

import json
import math
import re
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

_FIRST_EXPONENT, _LAST_EXPONENT = -5, 15
_TIME_WITH_OFFSET = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d{1,7})?([+-]\d\d:\d\d)")


def rewritten(text: str) -> str:
    """A JSON text without blanks and with the numbers that .NET would write; raises ValueError where it is no JSON."""
    return _text(json.loads(text))


def with_utc_times(value: Any) -> Any:
    """The value with each text that is a time with an offset turned to UTC, as a .NET parser does that looks for times.

    The vendor's extension reads the answer of a raising orchestrator with such a parser, and no other [golden].
    """
    if isinstance(value, dict):
        return {key: with_utc_times(item) for key, item in value.items()}
    if isinstance(value, list):
        return [with_utc_times(item) for item in value]
    found = _TIME_WITH_OFFSET.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        return value
    whole, fraction, offset = found.groups()
    moment = datetime.fromisoformat(whole + offset).astimezone(UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}{(fraction or '').rstrip('0').rstrip('.')}+00:00"


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ",".join(f"{_text(key)}:{_text(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(_text(item) for item in value) + "]"
    if isinstance(value, float):
        return _number(value)
    return json.dumps(value, ensure_ascii=False)


def _number(value: float) -> str:
    if not math.isfinite(value):
        return json.dumps(json.dumps(value))
    sign, digits, exponent = Decimal(repr(value)).normalize().as_tuple()
    magnitude = len(digits) + int(exponent) - 1
    if value == 0 or _FIRST_EXPONENT < magnitude < _LAST_EXPONENT:
        return repr(value)
    mantissa = str(digits[0]) + ("." + "".join(map(str, digits[1:])) if len(digits) > 1 else "")
    return f"{'-' if sign else ''}{mantissa}E{'+' if magnitude >= 0 else '-'}{abs(magnitude):02d}"
