"""Raw terminals on Linux and macOS."""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import os
import select
import signal
import sys
import termios
import threading
import tty
from collections.abc import AsyncIterator, Iterator
from types import FrameType
from typing import Any

from devboxgpu.console.size import Size, size_of_terminal

assert sys.platform != "win32"  # the type checker reads from here on for that system only

READ_SIZE = 65536


class PosixConsole:
    def __init__(self) -> None:
        self._before: tuple[int, list[Any]] | None = None

    def size(self) -> Size:
        return size_of_terminal()

    @contextlib.contextmanager
    def raw(self) -> Iterator[None]:
        """Every key, Ctrl-C included, is a byte for the remote; the modes before are restored whatever happens.

        A process that is stopped from outside gives the terminal back meanwhile, and is raw again when it goes on.
        """
        descriptor = sys.stdin.fileno()
        self._before = descriptor, termios.tcgetattr(descriptor)
        atexit.register(self.restore)
        try:
            with self._suspensions():
                _make_raw(descriptor)
                yield
        finally:
            self.restore()

    def restore(self) -> None:
        """The modes before `raw`, if it was entered; safe to call at any time."""
        if self._before is None:
            return
        descriptor, modes = self._before
        self._before = None
        with contextlib.suppress(termios.error, OSError):  # the terminal may have gone
            termios.tcsetattr(descriptor, termios.TCSANOW, modes)
        atexit.unregister(self.restore)

    def read(self) -> bytes:
        """The next bytes of standard input; empty at its end."""
        descriptor = sys.stdin.fileno()
        while True:
            try:
                return os.read(descriptor, READ_SIZE)
            except BlockingIOError:
                # Another program has made the terminal, which all share, one that does not block.
                select.select([descriptor], [], [])
            except OSError:
                return b""  # the terminal went away, which is an end of input

    async def sizes(self) -> AsyncIterator[Size]:
        """Each new size, as it happens."""
        changed = asyncio.Event()
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGWINCH, changed.set)
        try:
            while True:
                await changed.wait()
                changed.clear()
                yield self.size()
        finally:
            loop.remove_signal_handler(signal.SIGWINCH)

    @contextlib.contextmanager
    def _suspensions(self) -> Iterator[None]:
        """Hears of stops and of going on; only a program's first thread can."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        handlers = ((signal.SIGTSTP, self._suspend), (signal.SIGCONT, self._go_on))
        before = [(number, signal.signal(number, handler)) for number, handler in handlers]
        try:
            yield
        finally:
            for number, handler in before:
                signal.signal(number, handler)

    def _suspend(self, _number: int, _frame: FrameType | None) -> None:
        if self._before is not None:
            descriptor, modes = self._before
            with contextlib.suppress(termios.error, OSError):
                termios.tcsetattr(descriptor, termios.TCSANOW, modes)
        os.kill(os.getpid(), signal.SIGSTOP)

    def _go_on(self, _number: int, _frame: FrameType | None) -> None:
        """Raw again, where the terminal is ours: whoever stopped us may have set modes of its own."""
        if self._before is None:
            return
        descriptor, _ = self._before
        with contextlib.suppress(termios.error, OSError):
            # In the background a change of modes would stop us again; 'fg' tells us once more.
            if os.tcgetpgrp(descriptor) == os.getpgrp():
                _make_raw(descriptor)


def _make_raw(descriptor: int) -> None:
    tty.setraw(descriptor, termios.TCSANOW)


class PosixOutput:
    """Standard output or error, byte for byte."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def write(self, data: bytes) -> None:
        """Writes all of it; raises BrokenPipeError when nobody reads any more."""
        rest = memoryview(data)
        while rest:
            try:
                rest = rest[os.write(self._descriptor, rest) :]
            except BlockingIOError:
                # As for reading: a terminal that another program made one that does not block.
                select.select([], [self._descriptor], [])
