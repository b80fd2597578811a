"""A person at a terminal: bytes pass unchanged, the window's size follows, keys of our own are taken out."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from typing import Any

from devboxgpu.activity import Activity
from devboxgpu.blocking_io import StandardInput, StandardOutput
from devboxgpu.console import Console, Size
from devboxgpu.errors import ConnectionLostError, DevBoxGpuError, DisconnectedError, StoppedBySignalError
from devboxgpu.escape_keys import Escape, EscapeKeys, help_lines
from devboxgpu.gate import Gate
from devboxgpu.notices import Notices
from devboxgpu.reconnection import Reconnection
from devboxgpu.remote import Remote
from devboxgpu.screen import ScreenModes
from devboxgpu.stop import Stop, cancelled
from devboxgpu.wording import printable

HANGUP = 1
CTRL_C = b"\x03"
CLEANING_S = 1.0
SLOWEST_ACTION_S = 30.0
MOST_PIECES_WAITING = 256
"""Of a paste that the remote does not take in: so much is read on, looking for the keys that leave (64 KiB each)."""

KeyActions = Mapping[Escape, Callable[[], Awaitable[Sequence[str]]]]
"""What the keys beyond `~.` and `~?` do: the lines that are then shown. A DevBoxGpuError is shown, too."""


class TerminalSession:
    def __init__(
        self,
        *,
        console: Console,
        stdin: StandardInput,
        stdout: StandardOutput,
        notices: Notices,
        activity: Activity,
        stop: Stop,
        actions: KeyActions,
        reconnection: Reconnection,
        gate: Gate,
    ) -> None:
        """`gate` holds back what is written beside the remote's output while that is in the middle of something."""
        self._console, self._stdin, self._stdout = console, stdin, stdout
        self._notices, self._activity, self._stop = notices, activity, stop
        self._actions = actions
        self._known = [key for key in Escape if key in actions or key in {Escape.DISCONNECT, Escape.HELP}]
        self._reconnection, self._gate = reconnection, gate
        self._screen = ScreenModes()
        self._acting: set[asyncio.Task[None]] = set()
        self._typed: asyncio.Queue[bytes] = asyncio.Queue(MOST_PIECES_WAITING)

    async def run(self, remote: Remote) -> int:
        """The remote's exit code. Raises what ended it otherwise, or whatever stops it."""
        self._reconnection.is_hidden = lambda: self._screen.is_alternate
        self._reconnection.cut_off = lambda: self._soon(self._clean_screen())
        with self._console.raw():
            self._notices.raw = True
            works = (self._read_keys(remote), self._send_keys(remote), self._follow_size(remote))
            helpers = [asyncio.ensure_future(work) for work in works]
            try:
                return await self._stop.unless_stopped(self._show(remote))
            except BaseException:
                await self._clean_screen()
                raise
            finally:
                self._reconnection.stop()
                self._notices.raw = False
                for helper in [*helpers, *self._acting]:
                    await cancelled(helper)

    async def _clean_screen(self) -> None:
        """Undoes what a program that was cut off left switched on."""
        undoing, self._screen = self._screen.reset().encode(), ScreenModes()
        if undoing and sys.stdout.isatty():
            with contextlib.suppress(TimeoutError, OSError):  # a terminal that is stuck or gone needs no cleaning
                await asyncio.wait_for(self._stdout.write(undoing), CLEANING_S)

    async def _show(self, remote: Remote) -> int:
        await remote.resize(self._console.size())
        async for data, _ in remote.output():
            self._activity.happened()
            self._screen.watch(data)
            self._gate.begin(data)
            try:
                await self._stdout.write(data)
            finally:
                self._gate.end()
        return await remote.exit_code()

    async def _read_keys(self, remote: Remote) -> None:
        """For as long as the terminal lasts."""
        keys = EscapeKeys(self._known)
        while data := await self._stdin.read():
            self._activity.happened()
            typed = keys.feed(data)
            for escape in typed.escapes:
                self._escape(escape)
            if self._reconnection.is_told and not remote.is_connected and CTRL_C in typed.data:
                self._stop.request(ConnectionLostError("the connection to the session was lost"))
            elif typed.data:
                await self._typed.put(typed.data)
        self._stop.request(StoppedBySignalError(HANGUP))

    async def _send_keys(self, remote: Remote) -> None:
        while True:
            await remote.send(await self._typed.get())

    def _escape(self, escape: Escape) -> None:
        if escape is Escape.DISCONNECT:
            self._stop.request(DisconnectedError("disconnected"))
        elif escape is Escape.HELP:
            self._notices.line("\r\n".join(help_lines(self._known)))
        else:
            self._soon(self._act(escape))

    def _soon(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        self._acting.add(task)
        task.add_done_callback(self._acting.discard)

    async def _act(self, escape: Escape) -> None:
        try:
            async with asyncio.timeout(SLOWEST_ACTION_S):
                lines = await self._actions[escape]()
        except DevBoxGpuError as error:
            lines = error.lines()
        except TimeoutError:
            lines = ["no answer yet: try again"]
        if lines:
            self._notices.line("\r\n".join(f"devboxgpu: {printable(line)}" for line in lines))

    async def _follow_size(self, remote: Remote) -> None:
        async for size in self._console.sizes():
            await remote.resize(size)


def nudge(remote: Remote, console: Console) -> Callable[[], None]:
    """Lets the remote draw its screen again, where something else has been written on it: its size changes and back."""
    nudging: set[asyncio.Task[None]] = set()

    async def change() -> None:
        size = console.size()
        await remote.resize(Size(size.columns, max(1, size.rows - 1)))
        await remote.resize(size)

    def begin() -> None:
        task = asyncio.ensure_future(change())
        nudging.add(task)
        task.add_done_callback(nudging.discard)

    return begin
