"""From plain JSON to a project's settings: every part that is not of its kind is named, and every bound that is broken.

A decoder stops at the first such part. Here the types of `GpuSettings` are walked instead; a part that cannot be read
stands at its default meanwhile, so that the rest is judged as well, and nothing is said that rests on that default.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from decimal import Decimal
from functools import cache
from typing import Any

import msgspec
from msgspec import UNSET, inspect

from shared.domain.complaints import Complaint, lies_in, printable, shown
from shared.domain.errors import Problem
from shared.domain.settings import GpuSettings, SettingsBounds
from shared.domain.settings_bounds import complaints, problem_of

_AMOUNT = re.compile(r"-?[0-9]{1,20}(?:\.[0-9]{1,20})?")
_WANTED: dict[type[inspect.Type], str] = {
    inspect.BoolType: "true or false",
    inspect.StrType: "text",
    inspect.IntType: "a whole number",
    inspect.FloatType: "a number",
    inspect.DecimalType: "an amount such as 250 or 99.50",
    inspect.VarTupleType: "a list",
    inspect.DictType: "an object",
    inspect.StructType: "an object",
}


def read_settings(given: Mapping[str, Any], bounds: SettingsBounds) -> GpuSettings | list[Problem]:
    """Return the settings that this JSON says, or everything that is wrong with it at once."""
    faults: list[Complaint] = []
    settings = msgspec.convert(_read(dict(given), _kind(), "", faults), GpuSettings)
    found = [*faults, *(broken for broken in complaints(settings, bounds) if not _in_doubt(broken, faults))]
    return [problem_of(complaint) for complaint in found] or settings


@cache
def _kind() -> inspect.Type:
    return inspect.type_info(GpuSettings)


def _in_doubt(broken: Complaint, faults: list[Complaint]) -> bool:
    """Tell whether this is said of a value that stands for one which could not be read."""
    return any(
        lies_in(broken.target, fault.target) or any(lies_in(fault.target, place) for place in broken.rests_on)
        for fault in faults
    )


def _read(given: Any, kind: inspect.Type, place: str, faults: list[Complaint]) -> Any:
    """Return what was given as this kind has it; UNSET, with a fault noted, where it is not of the kind."""
    match kind:
        case inspect.StructType() if isinstance(given, dict):
            return _read_object(given, kind, place, faults)
        case inspect.VarTupleType() if isinstance(given, list | tuple):
            items = [_read(item, kind.item_type, f"{place}[{index}]", faults) for index, item in enumerate(given)]
            return [_empty(kind.item_type) if item is UNSET else item for item in items]
        case inspect.DictType() if isinstance(given, dict):
            inside = {name: f"{place}.{printable(name)}" for name in given}
            values = {name: _read(value, kind.value_type, inside[name], faults) for name, value in given.items()}
            return {name: value for name, value in values.items() if value is not UNSET}
        case inspect.UnionType():
            return _read_one_of(given, kind, place, faults)
    value = _value(given, kind)
    if value is UNSET:
        faults.append(Complaint(place, f"must be {_wanted(kind)}; it is {shown(given)}"))
    return value


def _read_object(given: dict[str, Any], kind: inspect.StructType, place: str, faults: list[Complaint]) -> Any:
    inside = f"{place}." if place else ""
    fields = {field.encode_name: field for field in kind.fields}
    for name in given:
        if name not in fields:
            message = f"there is no such setting; there are: {', '.join(fields)}"
            faults.append(Complaint(inside + printable(name), message))
    read: dict[str, Any] = {}
    for name, field in fields.items():
        value: Any = UNSET
        if name in given:
            value = _read(given[name], field.type, inside + name, faults)
        elif field.required:
            faults.append(Complaint(inside + name, f"is needed: {_wanted(field.type)}"))
        if value is UNSET and field.required:
            value = _empty(field.type)
        if value is not UNSET:
            read[name] = value
    return read


def _read_one_of(given: Any, kind: inspect.UnionType, place: str, faults: list[Complaint]) -> Any:
    """Read a value that may be of several kinds: nothing, or one that its JSON form tells apart from the others."""
    for option in kind.types:
        container = isinstance(option, inspect.StructType | inspect.VarTupleType)
        if container and isinstance(given, list | tuple | dict):
            return _read(given, option, place, faults)
        if not container and (value := _value(given, option)) is not UNSET:
            return value
    faults.append(Complaint(place, f"must be {_wanted(kind)}; it is {shown(given)}"))
    return UNSET


def _is_number(given: Any) -> bool:
    """Tell whether this is a number that can be counted with: a whole one of hundreds of digits is none."""
    try:
        return isinstance(given, int | float) and not isinstance(given, bool) and math.isfinite(given)
    except OverflowError:
        return False


def _value(given: Any, kind: inspect.Type) -> Any:
    """Return a single value as its kind has it, UNSET where it is none. No number is NaN, infinite or a boolean."""
    number = _is_number(given)
    match kind:
        case inspect.NoneType() if given is None:
            return None
        case inspect.BoolType() if isinstance(given, bool):
            return given
        case inspect.StrType() if isinstance(given, str):
            return given
        case inspect.EnumType(cls=cls) if isinstance(given, str) and given in {option.value for option in cls}:
            return given
        case inspect.IntType() if number and given == int(given):
            return int(given)
        case inspect.FloatType() if number:
            return float(given)
        case inspect.DecimalType() if number or (isinstance(given, str) and _AMOUNT.fullmatch(given)):
            return Decimal(str(given))
    return UNSET


def _wanted(kind: inspect.Type) -> str:
    match kind:
        case inspect.EnumType(cls=cls):
            return " or ".join(cls)
        case inspect.UnionType(types=types):
            return " or ".join(_wanted(option) for option in types if not isinstance(option, inspect.NoneType))
    return _WANTED[type(kind)]


def _empty(kind: inspect.Type) -> Any:
    """Return a value that stands for one which could not be read and has no default."""
    match kind:
        case inspect.StructType(fields=fields):
            return {field.encode_name: _empty(field.type) for field in fields if field.required}
        case inspect.EnumType(cls=cls):
            return next(iter(cls))
        case inspect.IntType() | inspect.FloatType() | inspect.DecimalType():
            return 1
    return ""
