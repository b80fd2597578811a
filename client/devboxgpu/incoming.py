"""What a remote process writes, taken up to a mark first, and then as it comes."""

from __future__ import annotations

from collections.abc import AsyncIterator

MOST_SHOWN = 400


class OutputEndedError(Exception):
    """The process ended, or wrote something else for too long; the text is what it said."""


class Incoming:
    def __init__(self, pieces: AsyncIterator[bytes]) -> None:
        self._pieces = pieces
        self._rest = b""

    async def until(self, mark: bytes, *, most: int) -> bytes:
        """What comes before the mark, which is taken away. Raises OutputEndedError, also after `most` bytes."""
        start = 0
        while (at := self._rest.find(mark, start)) < 0:
            if len(self._rest) > most:
                raise OutputEndedError(said(self._rest))
            start = max(0, len(self._rest) - len(mark) + 1)
            try:
                self._rest += await anext(self._pieces)
            except StopAsyncIteration:
                raise OutputEndedError(said(self._rest)) from None
        before, self._rest = self._rest[:at], self._rest[at + len(mark) :]
        return before

    @property
    def said(self) -> str:
        """The end of what has come and was not taken."""
        return said(self._rest)

    async def pieces(self) -> AsyncIterator[bytes]:
        """Everything that follows."""
        first, self._rest = self._rest, b""
        if first:
            yield first
        async for piece in self._pieces:
            yield piece


def said(output: bytes) -> str:
    return output.decode(errors="replace").strip()[-MOST_SHOWN:]
