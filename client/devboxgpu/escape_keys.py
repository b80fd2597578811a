"""The escape keys of ssh: a tilde at the beginning of a line, then a letter. Everything else passes unchanged."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

TILDE = ord("~")
LINE_ENDS = frozenset(b"\r\n")

HELP = (
    "keys after Enter:",
    "  ~.  disconnect; the session stops, unless other shells are in it",
    "  ~?  this help",
    "  ~~  a tilde",
)


class Escape(StrEnum):
    DISCONNECT = "."
    HELP = "?"


@dataclass(frozen=True, slots=True)
class Keys:
    data: bytes
    """What goes to the remote."""
    escapes: tuple[Escape, ...]


class EscapeKeys:
    def __init__(self) -> None:
        self._at_line_start = True
        self._after_tilde = False

    def feed(self, data: bytes) -> Keys:
        passed = bytearray()
        escapes: list[Escape] = []
        for byte in data:
            if self._after_tilde:
                self._after_tilde = False
                if chr(byte) in {Escape.DISCONNECT, Escape.HELP}:
                    escapes.append(Escape(chr(byte)))
                    self._at_line_start = True
                    continue
                passed.append(TILDE)
                if byte == TILDE:
                    self._at_line_start = False
                    continue
            elif byte == TILDE and self._at_line_start:
                self._after_tilde = True
                continue
            passed.append(byte)
            self._at_line_start = byte in LINE_ENDS
        return Keys(bytes(passed), tuple(escapes))
