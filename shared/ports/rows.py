"""Rows to table entities and back.

A column that may be empty is stored as "" when it is, so that a merge clears it and still keeps the columns that a
newer version of the app may have written. Lists and objects are JSON texts; instants RFC 3339; money decimal texts.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from typing import Any, TypeVar

import msgspec

from shared.domain.records import Row

R = TypeVar("R", bound=Row)
OURS = ("shared", "api", "activities")
EMPTY = ("", "[]", "{}")
LONGEST_TEXT = 32_000
"""Characters that a table column takes (Azure: 32 Ki; Azurite takes more, so it is held here: reliability.md 3.2)."""


class RowTooLarge(Exception):
    """A column would be longer than Azure Tables takes."""


def know_types() -> None:
    """Let msgspec learn every type of ours that is known so far, while nobody else asks it to.

    It learns a type when it is first asked for a value of it. Two threads that ask at the same time crash the process
    (seen with msgspec 0.22: a null pointer read in `convert`, in the first second of a host under load).
    """
    waiting: list[type[msgspec.Struct]] = [msgspec.Struct]
    while waiting:
        kind = waiting.pop()
        waiting += kind.__subclasses__()
        if kind.__module__.partition(".")[0] in OURS:
            with suppress(msgspec.ValidationError):
                msgspec.convert({}, kind)


def new_entity(row: Row) -> dict[str, Any]:
    """Return the columns of a row that is not there yet, keys left out: what is empty anyhow needs no column."""
    left_out = _empty_by_default(type(row))
    return {name: one for name, one in to_entity(row).items() if not (one in EMPTY and name in left_out)}


def to_entity(row: Row) -> dict[str, Any]:
    """Return the entity's columns, keys left out."""
    entity: dict[str, Any] = {}
    for name, value in msgspec.to_builtins(row).items():
        column = "" if value is None else value
        if isinstance(column, dict | list):
            column = msgspec.json.encode(column).decode()
        if isinstance(column, str) and len(column) > LONGEST_TEXT:
            raise RowTooLarge(f"column {name} has {len(column)} characters; {LONGEST_TEXT} are the limit")
        entity[name] = column
    return entity


def from_entity(entity: Mapping[str, Any], kind: type[R]) -> R:
    """Return the row that the entity holds. Columns that this version does not know are left alone."""
    values: dict[str, Any] = {}
    for name, (nullable, container) in _columns(kind).items():
        if name not in entity:
            continue
        column = entity[name]
        if nullable and column == "":
            continue
        values[name] = msgspec.json.decode(column) if container else column
    return msgspec.convert(values, kind)


@cache
def _empty_by_default(kind: type[Row]) -> frozenset[str]:
    """Return the columns that are empty where nothing is said of them."""
    return frozenset(
        field.name
        for field in msgspec.structs.fields(kind)
        if field.default in (None, "") or field.default_factory in (dict, list, tuple)
    )


@cache
def _columns(kind: type[Row]) -> dict[str, tuple[bool, bool]]:
    """Return, by column, whether it may be empty and whether it holds JSON."""
    hints = typing.get_type_hints(kind)
    return {field.name: _traits(hints[field.name]) for field in msgspec.structs.fields(kind)}


def _traits(hint: Any) -> tuple[bool, bool]:
    options = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
    kinds = [typing.get_origin(option) or option for option in options]
    holds_json = any(isinstance(k, type) and issubclass(k, dict | list | tuple | msgspec.Struct) for k in kinds)
    return type(None) in options, holds_json
