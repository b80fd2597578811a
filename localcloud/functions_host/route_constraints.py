"""The inline constraints of ASP.NET route templates: `{id:int}`, `{n:range(1,5)}`, `{w:alpha:length(3)}`."""

import re
from collections.abc import Callable
from datetime import datetime

Constraint = Callable[[str], bool]

_INT32, _INT64 = 2**31, 2**63
_GUID = re.compile(
    r"[0-9a-f]{32}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
    r"|\{[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\}|\([0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\)",
    re.IGNORECASE,
)
_WHOLE = re.compile(r"\s*[+-]?[0-9]+\s*")
_DECIMAL = re.compile(r"\s*[+-]?([0-9][0-9,]*(\.[0-9]*)?|\.[0-9]+)\s*")
_FLOAT = re.compile(r"\s*[+-]?([0-9][0-9,]*(\.[0-9]*)?|\.[0-9]+)(e[+-]?[0-9]+)?\s*", re.IGNORECASE)
_ALPHA = re.compile(r"[a-z]*", re.IGNORECASE)
_DATE_FORMATS = ("%m/%d/%Y", "%m/%d/%Y %H:%M:%S", "%m/%d/%Y %I:%M:%S %p", "%Y-%m-%d %I:%M%p")
_CALL = re.compile(r"(?P<name>[A-Za-z]+)(\((?P<arguments>.*)\))?", re.DOTALL)


class UnknownConstraint(ValueError):
    """A template uses a constraint that does not exist, or with the wrong arguments."""


def constraint_of(text: str) -> Constraint:
    """Make the check that a constraint such as `range(1,5)` stands for; raises UnknownConstraint."""
    match = _CALL.fullmatch(text)
    if match is None:
        raise UnknownConstraint(f"'{text}' is not a route constraint")
    name, arguments = match["name"].lower(), match["arguments"]
    try:
        if arguments is None:
            return _PLAIN[name]
        return _WITH_ARGUMENTS[name](arguments)
    except (KeyError, ValueError, re.error) as error:
        raise UnknownConstraint(f"'{text}' is not a route constraint") from error


def _is_whole(value: str, limit: int) -> bool:
    return _WHOLE.fullmatch(value) is not None and -limit <= int(value) < limit


def _is_datetime(value: str) -> bool:
    try:
        datetime.fromisoformat(value)
    except ValueError:
        return any(_has_format(value, known) for known in _DATE_FORMATS)
    return True


def _has_format(value: str, date_format: str) -> bool:
    try:
        datetime.strptime(value, date_format)  # noqa: DTZ007 - only whether it can be read matters
    except ValueError:
        return False
    return True


def _is_file(value: str) -> bool:
    return "." in value.rpartition("/")[2].rstrip(".")


_PLAIN: dict[str, Constraint] = {
    "int": lambda value: _is_whole(value, _INT32),
    "long": lambda value: _is_whole(value, _INT64),
    "bool": lambda value: value.strip().lower() in ("true", "false"),
    "datetime": _is_datetime,
    "decimal": lambda value: _DECIMAL.fullmatch(value) is not None,
    "double": lambda value: _FLOAT.fullmatch(value) is not None,
    "float": lambda value: _FLOAT.fullmatch(value) is not None,
    "guid": lambda value: _GUID.fullmatch(value.strip()) is not None,
    "alpha": lambda value: _ALPHA.fullmatch(value) is not None,
    "required": lambda value: value != "",
    "file": _is_file,
    "nonfile": lambda value: not _is_file(value),
}


def _length(arguments: str) -> Constraint:
    shortest, _, longest = arguments.partition(",")
    low, high = int(shortest), int(longest or shortest)
    return lambda value: low <= len(value) <= high


def _at_least(arguments: str) -> Constraint:
    low = int(arguments)
    return lambda value: _is_whole(value, _INT64) and int(value) >= low


def _at_most(arguments: str) -> Constraint:
    high = int(arguments)
    return lambda value: _is_whole(value, _INT64) and int(value) <= high


def _range(arguments: str) -> Constraint:
    low, high = (int(part) for part in arguments.split(","))
    return lambda value: _is_whole(value, _INT64) and low <= int(value) <= high


def _min_length(arguments: str) -> Constraint:
    low = int(arguments)
    return lambda value: len(value) >= low


def _max_length(arguments: str) -> Constraint:
    high = int(arguments)
    return lambda value: len(value) <= high


def _regex(arguments: str) -> Constraint:
    pattern = re.compile(arguments, re.IGNORECASE)
    return lambda value: pattern.search(value) is not None


_WITH_ARGUMENTS: dict[str, Callable[[str], Constraint]] = {
    "length": _length,
    "minlength": _min_length,
    "maxlength": _max_length,
    "min": _at_least,
    "max": _at_most,
    "range": _range,
    "regex": _regex,
}
