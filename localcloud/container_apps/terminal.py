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
from collections.abc import Callable

from localcloud.container_apps.child_process import as_shell_code, start_child, watch_exit
from localcloud.container_apps.ports import ContainerPlan

_CHUNK = 64 * 1024
_HANG_UP_GRACE_S = 2.0


class _Readiness:
    """Waits for a descriptor. It stays registered while it is waited for again and again: that is the cheap way."""

    def __init__(self, register: Callable[[Callable[[], None]], None], unregister: Callable[[], None]) -> None:
        self._register, self._unregister = register, unregister
        self._registered = False
        self._waiter: asyncio.Future[None] | None = None

    async def wait(self) -> None:
        self._waiter = asyncio.get_running_loop().create_future()
        if not self._registered:
            self._register(self._ready)
            self._registered = True
        try:
            await self._waiter
        finally:
            self._waiter = None

    def tell(self) -> None:
        """Let who waits look again."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def close(self) -> None:
        if self._registered:
            self._unregister()
            self._registered = False
        self.tell()

    def _ready(self) -> None:
        if self._waiter is None:
            self.close()  # nobody waits just now: a descriptor that goes on being ready must not wake the loop
        self.tell()


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
        loop = asyncio.get_running_loop()
        self._ended: asyncio.Future[int] = loop.create_future()
        self._to_read = _Readiness(lambda tell: loop.add_reader(self._master, tell), self._no_reader)
        self._to_write = _Readiness(lambda tell: loop.add_writer(self._master, tell), self._no_writer)
        watch_exit(self._child.pid, self._reap)

    def _reap(self) -> None:
        self._ended.set_result(as_shell_code(self._child.wait()))
        self._to_read.tell()
        self._to_write.tell()

    async def read(self) -> bytes:
        """A pty gives 4 KiB at a time: what is there is taken together."""
        while self._open:
            data = bytearray()
            try:
                while len(data) < _CHUNK and (piece := os.read(self._master, _CHUNK - len(data))):
                    data += piece
                return bytes(data)
            except BlockingIOError:
                if data or self._ended.done():
                    return bytes(data)
                await self._to_read.wait()
            except OSError as error:
                if error.errno != errno.EIO:
                    raise
                if data:
                    return bytes(data)
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
                await self._to_write.wait()
            except OSError as error:
                if error.errno != errno.EIO:
                    raise
                return

    def _no_reader(self) -> None:
        asyncio.get_running_loop().remove_reader(self._master)

    def _no_writer(self) -> None:
        asyncio.get_running_loop().remove_writer(self._master)

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
        self._open = False
        self._to_read.close()
        self._to_write.close()
        os.close(self._master)


def _signal_groups(groups: set[int], *signals: signal.Signals) -> None:
    for group in groups:
        for number in signals:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(group, number)
