"""Raw terminals on Linux and macOS."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import termios
import tty
from collections.abc import AsyncIterator, Iterator
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
        """Every key, Ctrl-C included, is a byte for the remote; the modes before are restored whatever happens."""
        descriptor = sys.stdin.fileno()
        self._before = descriptor, termios.tcgetattr(descriptor)
        tty.setraw(descriptor, termios.TCSANOW)
        try:
            yield
        finally:
            self.restore()

    def restore(self) -> None:
        """The modes before `raw`, if it was entered; safe to call at any time."""
        if self._before is None:
            return
        descriptor, modes = self._before
        with contextlib.suppress(termios.error, OSError):  # the terminal may have gone
            termios.tcsetattr(descriptor, termios.TCSANOW, modes)
        self._before = None

    def read(self) -> bytes:
        """The next bytes of standard input; empty at its end."""
        try:
            return os.read(sys.stdin.fileno(), READ_SIZE)
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
