"""What is said of a value that cannot be: its place, what is allowed, and what was given, safe to print."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import msgspec

LONGEST_SHOWN = 60


class Complaint(NamedTuple):
    """A fault at a place such as `gpuTypes[1].type`. `rests_on`: other places whose values were taken for granted."""

    target: str
    message: str
    rests_on: tuple[str, ...] = ()


def shown(given: Any) -> str:
    """Return a given value as messages show it: one line, printable signs only, 60 at most."""
    if isinstance(given, str):
        return f"'{printable(given)}'"
    if isinstance(given, float) and given.is_integer() and abs(given) < 1e15:
        given = int(given)
    return printable(msgspec.json.encode(given).decode())


def printable(text: str) -> str:
    kept = text if len(text) <= LONGEST_SHOWN else text[: LONGEST_SHOWN - 1] + "…"
    return "".join(sign if sign.isprintable() else "?" for sign in kept)


def outside(place: str, given: float, lowest: float, highest: float) -> Iterator[Complaint]:
    if not lowest <= given <= highest:
        yield Complaint(place, f"must be from {lowest:g} to {highest:g}; it is {shown(given)}")


def too_many(place: str, given: Sequence[Any] | dict[str, str], most: int) -> Iterator[Complaint]:
    if len(given) > most:
        yield Complaint(place, f"may have {most} entries; it has {len(given)}")


def twice(place: str, what: str, given: Sequence[Any]) -> Iterator[Complaint]:
    if len(set(given)) < len(given):
        yield Complaint(place, f"names {what} twice", rests_on=(place,))


def lies_in(target: str, place: str) -> bool:
    """Tell whether a place is this one or a part of it."""
    return target == place or target.startswith((f"{place}.", f"{place}["))
