"""A conversation with the agent (docs/agent.md) as a coroutine meets it: read, write, and how it ended."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from devboxgpu.agent.channels import Channels, Handler
from devboxgpu.errors import ConnectionLostError, DevBoxGpuError

LARGEST_READ = 256 * 1024
"""Bytes that one read gives at most: what came in many frames is handed on in few pieces."""
LOST = "lost"


class _Received(Handler):
    """What has come on a channel and nobody has taken yet."""

    def __init__(self) -> None:
        self.pieces: deque[tuple[bytes, bool]] = deque()
        self.messages: deque[dict[str, Any]] = deque()
        self.at_eof = False
        self.result: dict[str, Any] | None = None
        self._waiting: set[asyncio.Future[None]] = set()

    async def change(self) -> None:
        """Waits until something has come."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.add(future)
        try:
            await future
        finally:
            self._waiting.discard(future)

    def data(self, data: bytes, *, is_error: bool) -> None:
        self.pieces.append((data, is_error))
        self.writable()

    def eof(self) -> None:
        self.at_eof = True
        self.writable()

    def message(self, message: dict[str, Any]) -> None:
        self.messages.append(message)
        self.writable()

    def closed(self, result: dict[str, Any]) -> None:
        self.at_eof = True
        self.result = result
        self.writable()

    def writable(self) -> None:
        for future in self._waiting:
            if not future.done():
                future.set_result(None)


class ChannelStream:
    """One end of a channel. One coroutine reads, one writes, one takes messages, any number wait for the result."""

    def __init__(
        self,
        channels: Channels,
        request: Mapping[str, Any],
        send_soon: Callable[[], None],
        why_lost: Callable[[str], DevBoxGpuError] = ConnectionLostError,
    ) -> None:
        """Opens a channel with `request`; `send_soon` is told of anything new for the link to send.

        `why_lost` makes the error of a link that is lost, from the reason.
        """
        self._why_lost = why_lost
        self._received = _Received()
        self._send_soon = send_soon
        self._channel = channels.open(dict(request), lambda _: self._received)
        send_soon()

    async def read(self) -> tuple[bytes, bool] | None:
        """The next data, and whether it is error data; None when the other end sends no more."""
        while not self._received.pieces:
            if self._received.at_eof:
                return None
            await self._received.change()
        data, is_error = self._next_piece()
        self._channel.consumed(len(data))
        self._send_soon()
        return data, is_error

    async def write(self, data: bytes) -> None:
        """Sends all of it, as there is credit. To an end that has closed, it goes nowhere."""
        rest = memoryview(data)
        while rest and self._channel.is_open:
            if not self._channel.credit:
                await self._received.change()
                continue
            count = min(len(rest), self._channel.credit)
            self._channel.send(bytes(rest[:count]))
            rest = rest[count:]
            self._send_soon()

    def eof(self) -> None:
        """Tells the other end that no more data comes."""
        self._channel.eof()
        self._send_soon()

    def message(self, message: Mapping[str, Any]) -> None:
        self._channel.message(dict(message))
        self._send_soon()

    async def next_message(self) -> dict[str, Any] | None:
        """The next message; None when the conversation is over."""
        while not self._received.messages:
            if self._received.result is not None:
                return None
            await self._received.change()
        return self._received.messages.popleft()

    @property
    def ended_with(self) -> Mapping[str, Any] | None:
        """What `result` would give, or `{"lost": reason}`; None while the conversation goes on."""
        return self._received.result

    async def result(self) -> dict[str, Any]:
        """How it ended, as the end that ended it says. Raises what the link was lost by: a ConnectionLostError, or a
        SessionEndedError when its session ended.
        """
        while self._received.result is None:
            await self._received.change()
        if LOST in self._received.result:
            raise self._why_lost(str(self._received.result[LOST]))
        return self._received.result

    def close(self, result: Mapping[str, Any] | None = None) -> None:
        """Ends the conversation from this end; what has come can still be read. A second call does nothing."""
        if self._channel.is_open:
            self._channel.close(dict(result or {}))
            self._received.closed(dict(result or {}))
            self._send_soon()

    def _next_piece(self) -> tuple[bytes, bool]:
        pieces = self._received.pieces
        data, is_error = pieces.popleft()
        if not pieces or pieces[0][1] != is_error:
            return data, is_error
        parts, size = [data], len(data)
        while pieces and pieces[0][1] == is_error and size + len(pieces[0][0]) <= LARGEST_READ:
            parts.append(pieces.popleft()[0])
            size += len(parts[-1])
        return b"".join(parts), is_error
