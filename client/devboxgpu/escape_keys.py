"""The escape keys of ssh: a tilde at the beginning of a line, then a letter. Everything else passes unchanged.

So does a paste in brackets: text with `~.` in it is no wish to leave.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

TILDE = b"~"
LINE_ENDS = b"\r\n"
_TILDE_AT_START = re.compile(rb"(?<=[\r\n])~")
PASTE_BEGINS, PASTE_ENDS = b"\x1b[200~", b"\x1b[201~"
"""What a terminal puts around a paste where the remote has asked for it: nothing in between is a key of ours."""
_ALL_BUT_ONE = len(PASTE_BEGINS) - 1


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
        self._pasting = False
        self._before = b""
        """The end of what was passed, where a mark may have begun."""

    def feed(self, data: bytes) -> Keys:
        passed: list[bytes] = []
        escapes: list[Escape] = []
        at = 0
        while at < len(data):
            if self._after_tilde:
                at = self._take_key(data, at, passed, escapes)
                continue
            tilde = len(data) if self._pasting else self._next_tilde(data, at)
            mark = self._next_mark(data, at, tilde)
            until = min(tilde, mark or len(data))
            if until > at:
                passed.append(data[at:until])
                self._at_line_start = data[until - 1] in LINE_ENDS
                self._before = (self._before + data[max(at, until - _ALL_BUT_ONE) : until])[-_ALL_BUT_ONE:]
            if mark == until:
                self._pasting, self._before, at = not self._pasting, b"", until
            else:
                self._after_tilde = tilde < len(data)
                at = until + self._after_tilde
        return Keys(b"".join(passed), tuple(escapes))

    def _next_mark(self, data: bytes, at: int, before: int) -> int | None:
        """Where the mark that begins a paste, or ends this one, is over; None where there is none before `before`."""
        mark = PASTE_ENDS if self._pasting else PASTE_BEGINS
        split = (self._before + data[at : min(before, at + _ALL_BUT_ONE)]).find(mark)
        if split >= 0:
            return at + split + len(mark) - len(self._before)
        whole = data.find(mark, at, before)
        return whole + len(mark) if whole >= 0 else None

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
