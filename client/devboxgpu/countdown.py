"""What a person is told before a session stops, and when. Pure: instants are seconds of one clock, given by the caller.

The control plane warns at its policy's minutes; this says it in words that name the keys. Where the control plane has
fallen silent the person is warned all the same, by what was heard of it last.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from devboxgpu.wire import LeaseWarning
from devboxgpu.wording import STOP_REASONS, left, stop_word

OWN_MARKS_S = (300.0, 60.0)
"""Where this warns by itself, unless the control plane has."""
PATIENCE_S = 15.0
"""How much later than at the mark, so that a warning under way comes first."""
SHOWN_FROM_S = 600.0
"""A stop further off is not shown: most are put off by the next key."""
CLOSE_S = 300.0
MOVED_S = 30.0
"""A stop that moves by less is the same one: renewals and clocks are not exact."""
EXTENSION_MINUTES = 60
EXTENDS = "sessions extend"
"""What the control plane's words name where the session may be extended."""
ANY_KEY_KEEPS = "Idle"


@dataclass(frozen=True, slots=True, kw_only=True)
class Warned:
    """A line to tell, and which warning it is: the same in every terminal of the session."""

    text: str
    key: str


@dataclass(frozen=True, slots=True)
class NextStop:
    at: float
    reason: str


class Countdown:
    def __init__(self, *, session: str, has_keys: bool) -> None:
        self._session, self._has_keys = session, has_keys
        self._stop: NextStop | None = None
        self._told: set[tuple[str, str]] = set()
        self._told_left_s: float | None = None
        """How long was left at the last warning before this stop; None where none was told."""

    def heard(
        self, stops_in_s: float | None, reason: str | None, warnings: Sequence[LeaseWarning], now: float
    ) -> list[Warned]:
        """The control plane has answered; what of it is to be told. An answer without a stop knows of none."""
        self._move(None if stops_in_s is None else NextStop(now + stops_in_s, reason or ""))
        told = []
        for warning in warnings:
            said = (warning.kind, warning.message)
            if not warning.message or said in self._told:
                continue
            self._told.add(said)
            told.append(Warned(text=self._words(warning, now), key=f"{warning.kind} {warning.message}"))
            if self._stop is not None and warning.kind == self._stop.reason:
                self._told_left_s = self._stop.at - now
        return told

    def tick(self, now: float) -> list[Warned]:
        """Time has passed; what is to be told because the control plane has not said it."""
        if self._stop is None:
            return []
        left_s = self._stop.at - now
        due = [mark for mark in OWN_MARKS_S if left_s <= mark - PATIENCE_S]
        if not due or left_s <= 0 or (self._told_left_s is not None and self._told_left_s <= min(due) + PATIENCE_S):
            return []
        self._told_left_s = left_s
        text = f"{self._own_words(self._stop.reason, left_s, extends=False)} (as last heard from the control plane)"
        return [Warned(text=text, key=f"{self._stop.reason} {min(due):g} {round(self._stop.at / 60)}")]

    @property
    def is_warned(self) -> bool:
        """Whether the person was warned of the stop that lies ahead."""
        return self._told_left_s is not None

    def shown(self, now: float) -> str:
        """`stops in 5 min (idle)`, for a title; empty while the stop is far off or unknown."""
        if self._stop is None or self._stop.at - now > SHOWN_FROM_S:
            return ""
        return f"stops {left(self._stop.at - now)}" + _bracketed(self._stop.reason)

    def is_close(self, now: float) -> bool:
        return self._stop is not None and self._stop.at - now <= CLOSE_S

    def _move(self, stop: NextStop | None) -> None:
        before, self._stop = self._stop, stop
        same = before is not None and stop is not None and before.reason == stop.reason
        if not same or (before is not None and stop is not None and stop.at - before.at > MOVED_S):
            self._told_left_s = None

    def _words(self, warning: LeaseWarning, now: float) -> str:
        """Our words where the warning is of the stop ahead and of a known kind; else the control plane's."""
        known = self._stop is not None and warning.kind == self._stop.reason and warning.kind in STOP_REASONS
        if not known or not self._has_keys or self._stop is None:
            return warning.message
        return self._own_words(warning.kind, self._stop.at - now, extends=EXTENDS in warning.message)

    def _own_words(self, reason: str, left_s: float, *, extends: bool) -> str:
        why = STOP_REASONS.get(reason, reason)
        said = f"this session stops {left(left_s)}" + (f": {why}" if why else "")
        keeps = reason == ANY_KEY_KEEPS and self._has_keys
        ways = ["any key keeps it" if keeps else "save your work"]
        if extends or keeps:
            ways.append(f"Enter ~e keeps it for {EXTENSION_MINUTES} min")
        elif reason == ANY_KEY_KEEPS:
            ways.append(f"devboxgpu sessions extend {self._session} --minutes {EXTENSION_MINUTES} keeps it")
        elif reason == "BudgetExhausted":
            ways.append("a project administrator may give more")
        return f"{said}; {', or '.join(ways)}"


def _bracketed(reason: str) -> str:
    word = stop_word(reason)
    return f" ({word})" if word else ""
