"""Where in the remote's output we are: our own sequences may only stand between its characters and sequences."""

from __future__ import annotations

import re
from enum import Enum, auto

ESCAPE = 0x1B
BELL = 0x07
CANCELS = b"\x18\x1a"
TITLE = re.compile(rb"\x1b\][02];")
SCREEN = re.compile(rb"\x1b\[\?(?:1049|1047|47)([hl])")
LONGEST_START = 8
"""Bytes of the longest sequence searched for, whose beginning may have come in the piece before."""


class State(Enum):
    GROUND = auto()
    ESCAPE = auto()
    CONTROL = auto()
    """After ESC [ : ends with a byte from @ to ~."""
    TITLE = auto()
    """After ESC ] : ends with BEL or ESC \\."""
    STRING = auto()
    """After ESC P, X, ^ or _ : ends with ESC \\."""


STRINGS = {ord("]"): State.TITLE, ord("P"): State.STRING, ord("X"): State.STRING, ord("^"): State.STRING}
STRINGS[ord("_")] = State.STRING


class OutputState:
    """Watches the remote's output, which passes unchanged."""

    def __init__(self) -> None:
        self._state = State.GROUND
        self._missing = 0
        """Bytes of a character that are still to come."""
        self._tail = b""
        self.full_screen = False
        self.titled = False
        """Whether the remote has set a title since this was last made False."""

    @property
    def is_between(self) -> bool:
        """Whether nothing is half sent."""
        return self._state is State.GROUND and not self._missing

    def feed(self, data: bytes) -> None:
        seen = self._tail + data
        if b"\x1b" in seen:
            self._notice(seen)
        self._tail = seen[-(LONGEST_START - 1) :]
        self._follow(data)

    def _notice(self, seen: bytes) -> None:
        # What was noticed in the tail of the piece before is noticed again, which changes nothing.
        self.titled = self.titled or len(TITLE.findall(seen)) > len(TITLE.findall(self._tail))
        for found in SCREEN.finditer(seen):
            self.full_screen = found.group(1) == b"h"

    def _follow(self, data: bytes) -> None:
        """The state after the data. Every ESC begins anew, so only what follows the last one counts."""
        last = data.rfind(b"\x1b")
        if last >= 0:
            self._state, data = State.ESCAPE, data[last + 1 :]
        rest = self._rest_of_sequence(data)
        self._missing = _missing_after(rest, self._missing if last < 0 else 0) if self._state is State.GROUND else 0

    def _rest_of_sequence(self, data: bytes) -> bytes:
        """What follows the sequence that we are in, which ends here or goes on."""
        for index, byte in enumerate(data):
            if self._state is State.GROUND:
                return data[index:]
            self._state = _next_state(self._state, byte)
        return b""


def _next_state(state: State, byte: int) -> State:
    if byte in CANCELS:
        return State.GROUND
    match state:
        case State.ESCAPE if byte == ord("["):
            return State.CONTROL
        case State.ESCAPE if byte in STRINGS:
            return STRINGS[byte]
        case State.ESCAPE:
            return State.ESCAPE if 0x20 <= byte <= 0x2F else State.GROUND
        case State.CONTROL:
            return State.GROUND if 0x40 <= byte <= 0x7E else State.CONTROL
        case State.TITLE:
            return State.GROUND if byte == BELL else State.TITLE
        case _:
            return state


def _missing_after(data: bytes, missing: int) -> int:
    """How many bytes the last character of UTF-8 still lacks."""
    for back, byte in enumerate(reversed(data[-4:]), start=1):
        if byte & 0xC0 != 0x80:
            needed = 4 if byte >= 0xF0 else 3 if byte >= 0xE0 else 2 if byte >= 0xC0 else 1
            return max(0, needed - back)
    return max(0, missing - len(data))
