"""JSON texts and the texts of instants, as the vendor's engine writes them."""

import json
from datetime import UTC, datetime
from typing import Any

_TICKS_PER_MICROSECOND = 10
_FIRST_INSTANT = datetime(1, 1, 1, tzinfo=UTC)
_COMPACT = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def to_json(value: object) -> str:
    """Compact JSON; a float that JSON cannot hold becomes a text, as the vendor's serializer has it."""
    try:
        return _COMPACT.encode(value)
    except ValueError:
        return json.dumps(_without_odd_floats(value), separators=(",", ":"), ensure_ascii=False)


def _without_odd_floats(value: object) -> object:
    if isinstance(value, dict):
        return {key: _without_odd_floats(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_odd_floats(item) for item in value]
    if isinstance(value, float) and json.dumps(value) in ("NaN", "Infinity", "-Infinity"):
        return json.dumps(value)
    return value


def json_or_text(text: str | None) -> Any:
    """The value that a JSON text holds; the text itself where it is not JSON (such as the reason of a terminate)."""
    if text is None:
        return None
    try:
        return json.loads(text)
    except ValueError:
        return text


def carried(text: str | None) -> str | None:
    """A result's JSON text as the engine passes it on: written anew, as .NET writes it; null becomes none."""
    value = json_or_text(text)
    if value is None:
        return None
    return to_json(value)


def instant_text(moment: datetime) -> str:
    """An instant with seven digits and Z, as .NET writes it in histories."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%f0Z")


def offset_text(instant: str) -> str:
    """The same instant in the form that .NET gives to a DateTimeOffset."""
    return instant.removesuffix("Z") + "+00:00"


def whole_seconds(moment: datetime) -> str:
    """An instant cut to whole seconds, as in a status body."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def parse_instant(text: str) -> datetime:
    """An aware instant in UTC from any ISO 8601 text; one without a zone is taken as UTC; raises ValueError."""
    moment = datetime.fromisoformat(text)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def ticks(moment: datetime) -> int:
    """The number of 100 ns intervals since the year 1."""
    since = moment - _FIRST_INSTANT
    return ((since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds) * _TICKS_PER_MICROSECOND
