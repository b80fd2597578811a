"""The title, the progress ring and the bell of the person's terminal, as sequences that only a known terminal gets.

The person's own title comes back at the end where that is possible: from the terminal's stack (XTWINOPS 22 and 23), or
from the console itself on Windows. Windows Terminal elsewhere (WSL) keeps none: there the title is emptied, which shows
the tab's own name again.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from enum import IntEnum

from devboxgpu.abilities import Abilities
from devboxgpu.wording import printable

LONGEST_TITLE = 160
PUSH, POP = "\x1b[22;2t", "\x1b[23;2t"
BELL = "\a"

Write = Callable[[str], None]


class Ring(IntEnum):
    """The states of OSC 9;4."""

    OFF = 0
    BUSY = 3
    WARNING = 4


def console_title() -> str:
    """The title of the console, where the system tells it (Windows); else empty."""
    if sys.platform != "win32":
        return ""
    import ctypes

    text = ctypes.create_unicode_buffer(1024)
    ctypes.windll.kernel32.GetConsoleTitleW(text, len(text))
    return text.value


class TerminalSigns:
    """What is shown beside the text. Nothing is written where the terminal is not known to take it."""

    def __init__(self, write: Write, abilities: Abilities, *, own_title: Callable[[], str] = console_title) -> None:
        self._write, self._abilities, self._own_title = write, abilities, own_title
        self._title: str | None = None
        """What we have set; None where the title is the person's."""
        self._before = ""
        self._ring = Ring.OFF

    def title(self, text: str) -> None:
        """Sets the title, whatever has set it since."""
        if not self._abilities.title:
            return
        first = self._title is None
        self._title = shown = _safe(text, utf8=self._abilities.utf8)
        if first:
            self._before = self._own_title()
            self._write((PUSH if self._abilities.title_stack else "") + _set_title(shown))
        else:
            self._write(_set_title(shown))

    def ring(self, state: Ring) -> None:
        """Said again it is sent again: a terminal lets go of progress that it does not hear of for a while."""
        if self._abilities.ring and (state is not Ring.OFF or self._ring is not Ring.OFF):
            self._write(f"\x1b]9;4;{state.value};0\x07" if state is Ring.OFF else f"\x1b]9;4;{state.value};100\x07")
        self._ring = state

    def bell(self) -> None:
        if self._abilities.is_terminal and self._abilities.term != "dumb":
            self._write(BELL)

    def restore(self) -> None:
        """The person's title, and no ring. A second call does nothing."""
        self.ring(Ring.OFF)
        if self._title is None:
            return
        self._title = None
        given_back = _set_title(_safe(self._before, utf8=True))
        self._write(POP if self._abilities.title_stack else given_back)


def _set_title(text: str) -> str:
    return f"\x1b]2;{text}\x07"


def _safe(text: str, *, utf8: bool) -> str:
    """Names and reasons come from elsewhere: nothing in a title may end the sequence, or begin another."""
    shown = printable(text)[:LONGEST_TITLE]
    return shown if utf8 else shown.replace("·", "-").encode("ascii", "replace").decode()
