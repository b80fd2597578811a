"""What is written beside the remote's output stands between its characters and sequences, and never within a write."""

from __future__ import annotations

from devboxgpu.output_state import OutputState
from devboxgpu.title import Write

CANCEL = "\x18"
"""Ends whatever sequence was left unfinished."""


class Gate:
    """Holds our sequences back while the remote's output is in the middle of something."""

    def __init__(self, write: Write) -> None:
        self._write = write
        self._held = ""
        self._busy = False
        self.output = OutputState()

    def write(self, text: str) -> None:
        self._held += text
        self._let_through()

    def begin(self, data: bytes) -> None:
        """The remote's output is being written."""
        self._busy = True
        self.output.feed(data)

    def end(self) -> None:
        self._busy = False
        self._let_through()

    def force(self) -> None:
        """The output is over: what is left of it in the terminal is cut off."""
        if self._held:
            cut = "" if self.output.is_between else CANCEL
            self._busy, self.output = False, OutputState()
            self._held = cut + self._held
            self._let_through()

    def _let_through(self) -> None:
        if self._held and not self._busy and self.output.is_between:
            text, self._held = self._held, ""
            self._write(text)
