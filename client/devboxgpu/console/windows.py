"""Raw consoles on Windows: virtual terminal sequences both ways, UTF-8 on our side, UTF-16 on the console's."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import sys
from collections.abc import AsyncIterator, Iterator
from ctypes import wintypes

from devboxgpu.console.size import Size, size_of_terminal

assert sys.platform == "win32"  # the type checker reads from here on for that system only

STD_INPUT_HANDLE = -10
STD_OUTPUT_HANDLE = -11
ENABLE_PROCESSED_INPUT = 0x0001
ENABLE_LINE_INPUT = 0x0002
ENABLE_ECHO_INPUT = 0x0004
ENABLE_VIRTUAL_TERMINAL_INPUT = 0x0200
ENABLE_VIRTUAL_TERMINAL_PROCESSING = 0x0004
DISABLE_NEWLINE_AUTO_RETURN = 0x0008
UTF8_CODE_PAGE = 65001
READ_UNITS = 4096
READ_SIZE = 65536
SIZE_POLL_S = 0.25


class WindowsConsole:
    def __init__(self) -> None:
        self._kernel = ctypes.WinDLL("kernel32", use_last_error=True)
        self._input = self._kernel.GetStdHandle(STD_INPUT_HANDLE)
        self._output = self._kernel.GetStdHandle(STD_OUTPUT_HANDLE)
        self._before: list[tuple[int, int]] = []
        self._code_page = 0
        self._half = b""

    def size(self) -> Size:
        return size_of_terminal()

    @contextlib.contextmanager
    def raw(self) -> Iterator[None]:
        """Every key, Ctrl-C included, goes to the remote; the modes before are restored whatever happens."""
        input_mode, output_mode = self._mode(self._input), self._mode(self._output)
        self._before = [
            (handle, mode)
            for handle, mode in ((self._input, input_mode), (self._output, output_mode))
            if mode is not None
        ]
        self._code_page = self._kernel.GetConsoleOutputCP()
        self._kernel.SetConsoleOutputCP(UTF8_CODE_PAGE)
        if input_mode is not None:
            cooked = ENABLE_PROCESSED_INPUT | ENABLE_LINE_INPUT | ENABLE_ECHO_INPUT
            self._kernel.SetConsoleMode(self._input, input_mode & ~cooked | ENABLE_VIRTUAL_TERMINAL_INPUT)
        if output_mode is not None:
            terminal = ENABLE_VIRTUAL_TERMINAL_PROCESSING | DISABLE_NEWLINE_AUTO_RETURN
            self._kernel.SetConsoleMode(self._output, output_mode | terminal)
        try:
            yield
        finally:
            self.restore()

    def restore(self) -> None:
        """The modes before `raw`, if it was entered; safe to call at any time."""
        for handle, mode in self._before:
            self._kernel.SetConsoleMode(handle, mode)
        if self._code_page:
            self._kernel.SetConsoleOutputCP(self._code_page)
        self._before, self._code_page = [], 0

    def read(self) -> bytes:
        """The next bytes of standard input; empty at its end."""
        if self._mode(self._input) is None:
            return os.read(sys.stdin.fileno(), READ_SIZE)
        units = ctypes.create_unicode_buffer(READ_UNITS)
        count = wintypes.DWORD()
        if not self._kernel.ReadConsoleW(self._input, units, READ_UNITS, ctypes.byref(count), None):
            return b""
        data = self._half + bytes(units)[: count.value * 2]
        # A character beyond the first plane comes as two units, and a read may end between them.
        ends_in_half = len(data) >= 2 and 0xD8 <= data[-1] <= 0xDB
        self._half = data[-2:] if ends_in_half else b""
        whole = data[:-2] if ends_in_half else data
        return whole.decode("utf-16-le", "replace").encode()

    async def sizes(self) -> AsyncIterator[Size]:
        """Each new size; the console does not tell, so it is asked four times a second."""
        last = self.size()
        while True:
            await asyncio.sleep(SIZE_POLL_S)
            now = self.size()
            if now != last:
                last = now
                yield now

    def _mode(self, handle: int) -> int | None:
        """The console mode, or None when the handle is no console."""
        mode = wintypes.DWORD()
        return mode.value if self._kernel.GetConsoleMode(handle, ctypes.byref(mode)) else None
