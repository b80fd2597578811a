"""A program on a pty of its own, read and written without blocking the loop."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import os
import pty
import signal
import struct
import termios

from localcloud.container_apps.child_process import as_shell_code, start_child, watch_exit
from localcloud.container_apps.ports import ContainerPlan

_CHUNK = 64 * 1024
_HANG_UP_GRACE_S = 2.0


class LocalTerminal:
    """The master side of a pty whose slave is the program's controlling terminal."""

    def __init__(self, plan: ContainerPlan) -> None:
        self._master, slave = pty.openpty()
        try:
            self.resize(columns=80, rows=24)
            os.set_blocking(self._master, False)
            self._child = start_child(
                plan.command,
                directory=plan.directory / "home",
                environment=plan.environment,
                stdin=slave,
                output=slave,
                owns_terminal=True,
            )
        except BaseException:
            os.close(self._master)
            raise
        finally:
            os.close(slave)
        self._open = True
        self._ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        watch_exit(self._child.pid, self._reap)

    def _reap(self) -> None:
        self._ended.set_result(as_shell_code(self._child.wait()))

    async def read(self) -> bytes:
        while self._open:
            try:
                return os.read(self._master, _CHUNK)
            except BlockingIOError:
                if self._ended.done():
                    return b""
                await self._until_ready(reading=True)
            except OSError as error:
                if error.errno != errno.EIO:
                    raise
                # Nobody holds the other side any more; the program itself may live on for a while.
                await asyncio.shield(self._ended)
                return b""
        return b""

    async def write(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest and self._open and not self._ended.done():
            try:
                rest = rest[os.write(self._master, rest) :]
            except BlockingIOError:
                await self._until_ready(reading=False)
            except OSError as error:
                if error.errno != errno.EIO:
                    raise
                return

    async def _until_ready(self, *, reading: bool) -> None:
        """Wait until the pty can be read or written, or the program has ended."""
        loop = asyncio.get_running_loop()
        ready: asyncio.Future[None] = loop.create_future()

        def tell() -> None:
            if not ready.done():
                ready.set_result(None)

        (loop.add_reader if reading else loop.add_writer)(self._master, tell)
        try:
            waited: set[asyncio.Future[None] | asyncio.Future[int]] = {ready, self._ended}
            await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
        finally:
            if self._open:
                (loop.remove_reader if reading else loop.remove_writer)(self._master)

    def resize(self, *, columns: int, rows: int) -> None:
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    async def exit_code(self) -> int:
        return await asyncio.shield(self._ended)

    async def hang_up(self) -> None:
        if not self._open:
            return
        groups = self._groups()
        self._close()
        if self._ended.done():
            return
        _signal_groups(groups, signal.SIGHUP, signal.SIGCONT)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(asyncio.shield(self._ended), _HANG_UP_GRACE_S)
        if not self._ended.done():
            _signal_groups(groups, signal.SIGKILL)

    def _groups(self) -> set[int]:
        """Return the leader's group and the one in the foreground."""
        groups = {self._child.pid}
        with contextlib.suppress(OSError):
            groups.add(os.tcgetpgrp(self._master))
        return {group for group in groups if group > 1}

    def _close(self) -> None:
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._master)
        loop.remove_writer(self._master)
        self._open = False
        os.close(self._master)


def _signal_groups(groups: set[int], *signals: signal.Signals) -> None:
    for group in groups:
        for number in signals:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(group, number)
