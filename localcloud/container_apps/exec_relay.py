"""Carries bytes between one websocket and one terminal, and ends both when either has ended."""

from __future__ import annotations

import asyncio
import contextlib
import math
from dataclasses import dataclass

from aiohttp import WSCloseCode, WSMessage, WSMsgType, web

from localcloud.container_apps import frames
from localcloud.container_apps.ports import Terminal

_MOST_TYPED_FRAMES = 512
_TOGETHER = 16
"""Frames of input that are written at once, where so many wait."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cuts:
    """When to cut the connection off without a word, as the real service does now and then.

    `binary`: it is closed at the first binary frame of input. `unclean`: input is taken for UTF-8, frame by frame.
    """

    idle_s: float | None = None
    after_s: float | None = None
    after_bytes: int | None = None
    after_frames: int | None = None
    binary: bool = False
    unclean: bool = False


class Relay:
    """One connected exec. `run` returns when it is over; the program's groups are gone by then."""

    def __init__(
        self,
        *,
        socket: web.WebSocketResponse,
        transport: asyncio.Transport | None,
        terminal: Terminal,
        command: str,
        cuts: Cuts,
    ) -> None:
        self._socket = socket
        self._transport = transport
        self._terminal = terminal
        self._command = command
        self._cuts = cuts
        # Typed bytes wait here, so that a client's going is noticed while its program does not read.
        self._typed: asyncio.Queue[bytes] = asyncio.Queue(_MOST_TYPED_FRAMES)
        self._sent_bytes = self._frames = 0
        self._enough = asyncio.Event()
        self._began_at = self._last_frame_at = asyncio.get_running_loop().time()

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        inward = loop.create_task(self._inward())
        outward = loop.create_task(self._outward())
        cut = loop.create_task(self._until_cut())
        tasks = {inward, outward, cut, loop.create_task(self._type())}
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            if _came_to_its_end(cut) and self._transport is not None:
                self._transport.abort()
            elif _came_to_its_end(outward) and not _came_to_its_end(inward):
                await self._say_how_it_ended()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.shield(self._terminal.hang_up())

    async def _inward(self) -> None:
        """Feed the terminal until the client goes away."""
        while True:
            message = await self._socket.receive()
            self._saw_frame()
            if message.type is WSMsgType.PING:
                await self._socket.pong(message.data)
            elif message.type is WSMsgType.BINARY and self._cuts.binary:
                await self._socket.close(code=WSCloseCode.UNSUPPORTED_DATA)
                return
            elif message.type in {WSMsgType.TEXT, WSMsgType.BINARY}:
                await self._take(message)
                await self._count()
            elif message.type is not WSMsgType.PONG:
                return

    async def _take(self, message: WSMessage) -> None:
        data = message.data.encode() if message.type is WSMsgType.TEXT else message.data
        try:
            frame = frames.read_frame(data)
        except frames.FrameNotUnderstood as problem:
            await self._socket.send_bytes(frames.error("InvalidFrame", str(problem)))
            return
        match frame:
            case frames.Input(data=typed):
                clean = typed.decode("utf-8", "replace").encode() if self._cuts.unclean else typed
                await self._typed.put(clean)
            case frames.Resize(columns=columns, rows=rows):
                self._terminal.resize(columns=columns, rows=rows)

    async def _type(self) -> None:
        while True:
            typed = [await self._typed.get()]
            while not self._typed.empty() and len(typed) < _TOGETHER:
                typed.append(self._typed.get_nowait())
            await self._terminal.write(typed[0] if len(typed) == 1 else b"".join(typed))

    async def _outward(self) -> None:
        """Send what the program writes, until it has ended."""
        while data := await self._terminal.read():
            await self._socket.send_bytes(frames.output(data))
            self._saw_frame()
            await self._count(sent=len(data))

    async def _count(self, *, sent: int = 0) -> None:
        """Count what has passed. Where that is enough the connection is about to be cut off: nothing more may pass."""
        self._sent_bytes += sent
        self._frames += 1
        cuts = self._cuts
        enough_sent = cuts.after_bytes is not None and self._sent_bytes >= cuts.after_bytes
        if enough_sent or (cuts.after_frames is not None and self._frames >= cuts.after_frames):
            self._enough.set()
            await asyncio.Event().wait()

    async def _say_how_it_ended(self) -> None:
        with contextlib.suppress(ConnectionError):
            exit_code = await self._terminal.exit_code()
            if exit_code != 0:
                await self._socket.send_bytes(frames.ended_with(self._command, exit_code))
            await self._socket.close(code=WSCloseCode.OK)

    async def _until_cut(self) -> None:
        """Return when the connection is to be cut off; never, where no fault asks for it."""
        while (left_s := self._seconds_left()) > 0:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(None if math.isinf(left_s) else left_s):
                    await self._enough.wait()
                    return

    def _seconds_left(self) -> float:
        now_s = asyncio.get_running_loop().time()
        idle_s, after_s = self._cuts.idle_s, self._cuts.after_s
        return min(
            math.inf if idle_s is None else self._last_frame_at + idle_s - now_s,
            math.inf if after_s is None else self._began_at + after_s - now_s,
        )

    def _saw_frame(self) -> None:
        self._last_frame_at = asyncio.get_running_loop().time()


def _came_to_its_end(task: asyncio.Task[None]) -> bool:
    """Whether the task returned by itself: not cancelled, and not because the connection broke."""
    return task.done() and not task.cancelled() and task.exception() is None
