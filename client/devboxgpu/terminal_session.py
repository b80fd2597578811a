"""A person at a terminal: bytes pass unchanged, the window's size follows, a dropped socket is mended."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Awaitable, Callable

from devboxgpu.activity import Activity
from devboxgpu.attachment import Attachment
from devboxgpu.blocking_io import StandardInput, StandardOutput
from devboxgpu.console import Console
from devboxgpu.errors import ConnectionLostError, DisconnectedError, StoppedBySignalError
from devboxgpu.escape_keys import HELP, Escape, EscapeKeys
from devboxgpu.exec_socket import DroppedError, ExecSocket, NotReadyError
from devboxgpu.notices import Notices
from devboxgpu.screen import ScreenModes
from devboxgpu.stop import Stop, cancelled

HANGUP = 1
CTRL_C = b"\x03"
REST_OF_CHARACTER_S = 0.05
CLEANING_S = 1.0

Reattach = Callable[[], Awaitable[Attachment]]


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
        session: str,
    ) -> None:
        self._console, self._stdin, self._stdout = console, stdin, stdout
        self._notices, self._activity, self._stop = notices, activity, stop
        self._session = session
        self._socket: ExecSocket | None = None
        self._screen = ScreenModes()

    async def run(self, attachment: Attachment, *, reattach: Reattach | None) -> int:
        """The remote's exit code. `reattach` opens a new process after a drop; None where that would be wrong.

        Raises ConnectionLostError when the way in is gone, and whatever stops it.
        """
        with self._console.raw():
            self._notices.raw = True
            helpers = [asyncio.ensure_future(self._pump()), asyncio.ensure_future(self._follow_size())]
            try:
                return await self._stop.unless_stopped(self._play(attachment, reattach))
            except BaseException:
                await self._clean_screen()
                raise
            finally:
                self._notices.raw = False
                for helper in helpers:
                    await cancelled(helper)

    async def _play(self, attachment: Attachment, reattach: Reattach | None) -> int:
        while True:
            try:
                return await self._attached(attachment)
            except (DroppedError, NotReadyError) as dropped:
                if reattach is None:
                    raise ConnectionLostError(
                        f"the connection to the session was lost ({dropped}); what became of the command is unknown"
                    ) from None
            await self._clean_screen()
            self._notices.say("connection lost, reconnecting (Ctrl-C gives up) ...")
            attachment = await reattach()
            self._notices.say(f"reconnected: a new shell in the same session {self._session}; the old one may be gone")

    async def _clean_screen(self) -> None:
        """Undoes what a program that was cut off left switched on."""
        undoing, self._screen = self._screen.reset().encode(), ScreenModes()
        if undoing and sys.stdout.isatty():
            with contextlib.suppress(TimeoutError, OSError):  # a terminal that is stuck or gone needs no cleaning
                await asyncio.wait_for(self._stdout.write(undoing), CLEANING_S)

    async def _attached(self, attachment: Attachment) -> int:
        self._socket = socket = attachment.socket
        keeping = asyncio.ensure_future(socket.keep_alive())
        try:
            await socket.resize(self._console.size())
            async for data in attachment.output:
                self._activity.happened()
                self._screen.watch(data)
                await self._stdout.write(data)
            return socket.exit_code
        finally:
            self._socket = None
            await cancelled(keeping)
            await socket.close()

    async def _pump(self) -> None:
        """Keys to the remote, for as long as the terminal lasts."""
        keys = EscapeKeys()
        while True:
            data = await self._next_input()
            if not data:
                self._stop.request(StoppedBySignalError(HANGUP))
                return
            self._activity.happened()
            typed = keys.feed(data)
            for escape in typed.escapes:
                self._escape(escape)
            if self._socket is not None:
                await self._socket.send_input(typed.data)
            elif CTRL_C in typed.data:
                self._stop.request(ConnectionLostError("the connection to the session was lost"))

    async def _next_input(self) -> bytes:
        """The next keys; half a character whose rest does not come is sent on as it is."""
        if self._socket is not None and self._socket.keeps_bytes:
            with contextlib.suppress(TimeoutError):
                return await asyncio.wait_for(self._stdin.read(), REST_OF_CHARACTER_S)
            if self._socket is not None:
                await self._socket.flush_input()
        return await self._stdin.read()

    def _escape(self, escape: Escape) -> None:
        if escape is Escape.DISCONNECT:
            self._stop.request(DisconnectedError("disconnected"))
        else:
            self._notices.line("\r\n".join(HELP))

    async def _follow_size(self) -> None:
        async for size in self._console.sizes():
            if self._socket is not None:
                await self._socket.resize(size)
