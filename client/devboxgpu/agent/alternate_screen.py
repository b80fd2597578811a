"""Whether a full-screen program has the terminal, read from what is printed on it."""

from __future__ import annotations

import re

ENTER = b"\x1b[?1049h"
_SWITCH = re.compile(rb"\x1b\[\?([0-9;]*)([hl])|\x1bc")
_ALTERNATE = {b"47", b"1047", b"1049"}
_LONGEST_TAIL = 32


class AlternateScreen:
    """Feed it everything that is printed; a switch may be split anywhere."""

    def __init__(self) -> None:
        self.is_on = False
        self._tail = b""

    def feed(self, data: bytes) -> None:
        text = self._tail + data
        end = 0
        for switch in _SWITCH.finditer(text):
            end = switch.end()
            if switch.group(2) is None:
                self.is_on = False
            elif _ALTERNATE.intersection(switch.group(1).split(b";")):
                self.is_on = switch.group(2) == b"h"
        start = text.rfind(b"\x1b", max(end, len(text) - _LONGEST_TAIL))
        self._tail = text[start:] if start >= 0 else b""
