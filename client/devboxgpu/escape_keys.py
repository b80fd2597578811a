"""The escape keys of ssh: a tilde at the beginning of a line, then a letter. Everything else passes unchanged."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

TILDE = b"~"
LINE_ENDS = b"\r\n"
_TILDE_AT_START = re.compile(rb"(?<=[\r\n])~")


class Escape(StrEnum):
    DISCONNECT = "."
    DETACH = "d"
    EXTEND = "e"
    INFO = "i"
    HELP = "?"


MEANING = {
    Escape.DISCONNECT: "disconnect; the session stops, unless other shells are in it",
    Escape.DETACH: "detach; what runs goes on, and 'devboxgpu attach' comes back to it",
    Escape.EXTEND: "keep the session for longer",
    Escape.INFO: "what this session is, costs, and when it stops",
    Escape.HELP: "this help",
}


def help_lines(known: Iterable[Escape]) -> list[str]:
    return ["keys after Enter:", *(f"  ~{key}  {MEANING[key]}" for key in known), "  ~~  a tilde"]


@dataclass(frozen=True, slots=True)
class Keys:
    data: bytes
    """What goes to the remote."""
    escapes: tuple[Escape, ...]


class EscapeKeys:
    """Takes the keys that are `known` out of what is typed; a paste of any size costs a search, and no loop."""

    def __init__(self, known: Iterable[Escape] = (Escape.DISCONNECT, Escape.HELP)) -> None:
        self._known = {key.value.encode(): key for key in known}
        self._at_line_start = True
        self._after_tilde = False

    def feed(self, data: bytes) -> Keys:
        passed: list[bytes] = []
        escapes: list[Escape] = []
        at = 0
        while at < len(data):
            if self._after_tilde:
                at = self._take_key(data, at, passed, escapes)
                continue
            tilde = self._next_tilde(data, at)
            self._after_tilde = tilde < len(data)
            if tilde > at:
                passed.append(data[at:tilde])
                self._at_line_start = data[tilde - 1] in LINE_ENDS
            at = tilde + 1
        return Keys(b"".join(passed), tuple(escapes))

    def _next_tilde(self, data: bytes, at: int) -> int:
        """Where the next one at the beginning of a line stands; the end of the data where there is none."""
        if self._at_line_start and data.startswith(TILDE, at):
            return at
        found = _TILDE_AT_START.search(data, at)
        return found.start() if found else len(data)

    def _take_key(self, data: bytes, at: int, passed: list[bytes], escapes: list[Escape]) -> int:
        """The key after such a tilde; where to go on from."""
        self._after_tilde = False
        key = data[at : at + 1]
        if key in self._known:
            escapes.append(self._known[key])
            self._at_line_start = True
            return at + 1
        passed.append(TILDE)
        self._at_line_start = False
        return at + 1 if key == TILDE else at
