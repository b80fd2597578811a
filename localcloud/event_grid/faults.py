"""Accidents on the way of an event: delay, loss, doubling and disorder, by switch and repeatable by seed."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from localcloud.event_grid.schemas import Event, event_type

MEANINGS = {
    "delayMs": "each event is held back this many milliseconds before its first delivery",
    "dropRate": "share of events, 0 to 1, that are never delivered and nobody is told",
    "duplicateRate": "share of events, 0 to 1, that are delivered twice, independently",
    "reorderWindow": "events wait until this many are there (or a second has passed) and leave in another order",
    "publishFailures": "the next so many requests of publishers are answered 503",
    "count": "how many events the switches touch; null for all",
    "eventTypes": "only events of these types are touched; empty for all",
    "seed": "the same seed and the same events give the same accidents",
}
DEFAULTS: Mapping[str, Any] = {
    "delayMs": 0,
    "dropRate": 0.0,
    "duplicateRate": 0.0,
    "reorderWindow": 0,
    "publishFailures": 0,
    "count": None,
    "eventTypes": [],
    "seed": 0,
}


class FaultError(Exception):
    """A switch that cannot be set; the text says which and why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fate:
    """What happens to one event on its way to one subscription."""

    delay_s: float = 0.0
    dropped: bool = False
    copies: int = 1
    reorder_window: int = 0


class DeliveryFaults:
    """The switches, and the fate that they deal to each event."""

    def __init__(self) -> None:
        self._values = dict(DEFAULTS)
        self._random = random.Random(0)  # noqa: S311 - accidents must be repeatable, not unguessable

    def shown(self) -> dict[str, object]:
        return {name: {"value": value, "meaning": MEANINGS[name]} for name, value in self._values.items()}

    def switch(self, wanted: object) -> None:
        """Set the named switches and keep the others, or raise FaultError and change nothing."""
        if not isinstance(wanted, dict):
            raise FaultError(f"the body is an object with some of {', '.join(DEFAULTS)}")
        for name, value in wanted.items():
            _check(name, value)
        self._values |= wanted
        if "seed" in wanted:
            self._random.seed(wanted["seed"])

    def clear(self) -> None:
        self._values = dict(DEFAULTS)
        self._random.seed(0)

    def fails_publisher(self) -> bool:
        """Tell whether this publisher is to be failed, counting it."""
        if not self._values["publishFailures"]:
            return False
        self._values["publishFailures"] -= 1
        return True

    def fate_of(self, event: Event) -> Fate:
        """Deal one event its fate, counting it where a switch is on."""
        values = self._values
        switched_on = any(values[name] for name in ("delayMs", "dropRate", "duplicateRate", "reorderWindow"))
        wanted_type = not values["eventTypes"] or event_type(event) in values["eventTypes"]
        if not switched_on or not wanted_type or values["count"] == 0:
            return Fate()
        if values["count"] is not None:
            values["count"] -= 1
        dropped = self._random.random() < values["dropRate"]
        doubled = self._random.random() < values["duplicateRate"]
        return Fate(
            delay_s=values["delayMs"] / 1000,
            dropped=dropped,
            copies=2 if doubled else 1,
            reorder_window=values["reorderWindow"],
        )

    def disordered(self, held: list[Any]) -> list[Any]:
        """Return what was held in an order that is never the one of arrival, where there is another."""
        shuffled = self._random.sample(held, len(held))
        return held[::-1] if shuffled == held else shuffled


def _check(name: str, value: object) -> None:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    match name:
        case "delayMs" | "reorderWindow" | "publishFailures" | "seed":
            good = type(value) is int and value >= 0
        case "dropRate" | "duplicateRate":
            good = number and 0 <= float(str(value)) <= 1
        case "count":
            good = value is None or (type(value) is int and value >= 0)
        case "eventTypes":
            good = isinstance(value, list) and all(isinstance(entry, str) for entry in value)
        case _:
            raise FaultError(f"there is no switch {name}; there are {', '.join(DEFAULTS)}")
    if not good:
        raise FaultError(f"{name} cannot be {value!r}: {MEANINGS[name]}")
