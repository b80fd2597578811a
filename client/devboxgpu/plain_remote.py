"""A process started by exec itself, where the container cannot have the agent: it ends with its connection."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from typing import Any

from devboxgpu.attachment import Attachment
from devboxgpu.console.size import Size
from devboxgpu.errors import ConnectionLostError
from devboxgpu.exec_socket import DroppedError, ExecSocket, NotReadyError
from devboxgpu.remote_command import END_OF_INPUT, INTERRUPT, batch
from devboxgpu.stop import cancelled

REST_OF_CHARACTER_S = 0.05


class PlainPipes:
    """A Remote without a terminal of ours: input in batches (remote_command.py), errors mixed with output."""

    def __init__(self, attachment: Attachment) -> None:
        self._attachment = attachment
        self._socket: ExecSocket | None = attachment.socket
        self._exit_code = 0
        self._sending: set[asyncio.Task[None]] = set()

    @property
    def is_connected(self) -> bool:
        return self._socket is not None

    async def send(self, data: bytes) -> None:
        for line in batch(data):
            await self._send(line)

    async def end_input(self) -> None:
        await self._send(END_OF_INPUT)

    async def resize(self, size: Size) -> None:
        if self._socket is not None:
            await self._socket.resize(size)

    def signal(self, name: str) -> bool:
        if name != "INT" or self._socket is None:
            return False
        self._soon(self._send(INTERRUPT))
        return True

    async def output(self) -> AsyncIterator[tuple[bytes, bool]]:
        try:
            async for data in self._attached(self._attachment):
                yield data, False
        except (DroppedError, NotReadyError) as dropped:
            raise ConnectionLostError(
                f"the connection to the session was lost ({dropped}); what became of the command is unknown"
            ) from None

    async def exit_code(self) -> int:
        return self._exit_code

    async def leave(self) -> None:
        if self._socket is not None:
            await self._socket.close()

    async def _attached(self, attachment: Attachment) -> AsyncIterator[bytes]:
        self._socket = socket = attachment.socket
        keeping = asyncio.ensure_future(socket.keep_alive())
        try:
            async for data in attachment.output:
                yield data
            self._exit_code = socket.exit_code
        finally:
            self._socket = None
            await cancelled(keeping)
            await socket.close()

    def _soon(self, sending: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(sending)
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)

    async def _send(self, data: bytes) -> None:
        if self._socket is not None:
            await self._socket.send_input(data)


class PlainTerminal(PlainPipes):
    """A Remote on a terminal. After a drop `reattach` opens a new process; None where that would be wrong."""

    def __init__(self, attachment: Attachment, reattach: Callable[[], Awaitable[Attachment]] | None) -> None:
        super().__init__(attachment)
        self._reattach = reattach
        self._size: Size | None = None
        self._flush: asyncio.TimerHandle | None = None
        self.on_lost: Callable[[str], None] = lambda _reason: None
        self.on_back: Callable[[float], None] = lambda _seconds: None

    async def send(self, data: bytes) -> None:
        """Half a character whose rest does not come is sent on as it is."""
        if self._flush is not None:
            self._flush.cancel()
        await self._send(data)
        if self._socket is not None and self._socket.keeps_bytes:
            self._flush = asyncio.get_running_loop().call_later(REST_OF_CHARACTER_S, self._send_rest)

    async def resize(self, size: Size) -> None:
        self._size = size
        await super().resize(size)

    async def output(self) -> AsyncIterator[tuple[bytes, bool]]:
        if self._reattach is None:
            async for piece in super().output():
                yield piece
            return
        attachment, clock = self._attachment, asyncio.get_running_loop().time
        while True:
            try:
                async for data in self._attached(attachment):
                    yield data, False
                return
            except (DroppedError, NotReadyError) as dropped:
                lost_at = clock()
                self.on_lost(str(dropped))
            attachment = await self._reattach()
            self.on_back(clock() - lost_at)
            if self._size is not None:
                await attachment.socket.resize(self._size)

    def _send_rest(self) -> None:
        if self._socket is not None:
            self._soon(self._socket.flush_input())
