"""What the command itself says, all of it on standard error, which may be a raw terminal, a pipe, or gone."""

from __future__ import annotations

import os
import sys
from typing import TextIO

from devboxgpu.wording import printable


def may_paint(stream: TextIO) -> bool:
    """Whether colours and movement are wanted there."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


class Notices:
    """One line each, prefixed. In raw mode a line starts on a fresh one and ends with CR LF."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream if stream is not None else sys.stderr
        self.raw = False

    def say(self, text: str) -> None:
        self.line(f"devboxgpu: {printable(text)}")

    def aside(self, text: str) -> None:
        """Said dimly, where the terminal can: it matters less than what stands around it."""
        said = f"devboxgpu: {printable(text)}"
        self.line(f"\x1b[2m{said}\x1b[22m" if may_paint(self._stream) else said)

    def line(self, text: str) -> None:
        self.write(f"\r\n{text}\r\n" if self.raw else f"{text}\n")

    def write(self, text: str) -> None:
        try:
            self._stream.write(text)
            self._stream.flush()
        except UnicodeEncodeError:
            self._stream.write(text.encode("ascii", "replace").decode())
            self._stream.flush()
        except (OSError, ValueError):
            return  # the terminal has gone: nobody is left to be told, and closing the shell matters more
