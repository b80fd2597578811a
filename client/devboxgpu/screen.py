"""What a full-screen program may leave switched on in the person's terminal when it is cut off."""

from __future__ import annotations

ALTERNATE_ON = b"\x1b[?1049h"
ALTERNATE_OFF = b"\x1b[?1049l"
PLAIN = "\x1b[0m\x1b[?25h\x1b[?1l\x1b[?2004l\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1006l"
"""Colours, hidden cursor, application keys, bracketed paste, mouse reports: all off."""


class ScreenModes:
    """Watches the output, unchanged, for the switches that need undoing."""

    def __init__(self) -> None:
        self._tail = b""
        self._alternate = False
        self._used_escapes = False

    @property
    def is_alternate(self) -> bool:
        """Whether a full-screen program has the screen."""
        return self._alternate

    def watch(self, data: bytes) -> None:
        self._used_escapes = self._used_escapes or b"\x1b" in data
        seen = self._tail + data
        on, off = seen.rfind(ALTERNATE_ON), seen.rfind(ALTERNATE_OFF)
        if on != off:
            self._alternate = on > off
        self._tail = seen[-(len(ALTERNATE_ON) - 1) :]

    def reset(self) -> str:
        """The sequences that undo it; nothing for a terminal that was only written to."""
        if not self._used_escapes:
            return ""
        return PLAIN + (ALTERNATE_OFF.decode() if self._alternate else "")
