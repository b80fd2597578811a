"""Raw consoles on Windows: virtual terminal sequences both ways, UTF-8 on our side, UTF-16 on the console's.

Quick edit stays as the person has it: marking text with the mouse is worth more than mouse reports in the old console,
and Windows Terminal has both.
"""

from __future__ import annotations

import asyncio
import atexit
import codecs
import contextlib
import io
import os
from collections.abc import AsyncIterator, Callable, Iterator

from devboxgpu.console import kernel as win
from devboxgpu.console.kernel import BufferResized, Interrupted, Kernel
from devboxgpu.console.keys import KeyBytes
from devboxgpu.console.size import Size, size_of_terminal
from devboxgpu.errors import DevBoxGpuError

READ_SIZE = 65536
SIZE_POLL_S = 0.25
CTRL_Z = "\x1a"
STANDARD_INPUT = 0


class ConsoleError(DevBoxGpuError):
    """The console cannot do what a remote terminal needs."""


class WindowsConsole:
    def __init__(
        self,
        kernel: Kernel,
        *,
        measure: Callable[[], Size] = size_of_terminal,
        read_pipe: Callable[[], bytes] = lambda: os.read(STANDARD_INPUT, READ_SIZE),
    ) -> None:
        self._kernel, self._measure, self._read_pipe = kernel, measure, read_pipe
        self._undoing: list[Callable[[], object]] = []
        self._keys = KeyBytes()
        self._lines = io.IncrementalNewlineDecoder(codecs.getincrementaldecoder("utf-16-le")("replace"), translate=True)
        self._begins_line = True
        self._is_raw = False
        self._resized: Callable[[], None] | None = None

    def size(self) -> Size:
        return self._measure()

    @contextlib.contextmanager
    def raw(self) -> Iterator[None]:
        """Every key, Ctrl-C included, goes to the remote; the modes before are restored whatever happens.

        Raises ConsoleError, with everything as before, where the console is too old.
        """
        atexit.register(self.restore)
        try:
            self._use_utf8()
            self._enter_output()
            self._enter_input()
            yield
        finally:
            self.restore()

    def restore(self) -> None:
        """The modes before `raw`, if it was entered; safe to call at any time and on any thread."""
        while self._undoing:
            with contextlib.suppress(IndexError):  # another thread has taken the last
                self._undoing.pop()()
        self._is_raw = False
        atexit.unregister(self.restore)

    def read(self) -> bytes:
        """The next bytes of standard input; empty at its end, and when the console has gone."""
        handle = self._kernel.console(win.INPUT)
        if handle is None:
            try:
                return self._read_pipe()
            except OSError:
                return b""  # whoever wrote into it has gone
        return self._read_keys(handle) if self._is_raw else self._read_lines(handle)

    async def sizes(self) -> AsyncIterator[Size]:
        """Each new size: as the console tells, and four times a second where it does not."""
        loop, changed = asyncio.get_running_loop(), asyncio.Event()

        def tell() -> None:
            with contextlib.suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(changed.set)

        self._resized = tell
        last = self.size()
        try:
            while True:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(changed.wait(), SIZE_POLL_S)
                changed.clear()
                now = self.size()
                if now != last:
                    last = now
                    yield now
        finally:
            self._resized = None

    def _use_utf8(self) -> None:
        before = self._kernel.code_pages()
        if all(before) and self._kernel.set_code_pages((win.UTF8_CODE_PAGE, win.UTF8_CODE_PAGE)):
            self._undoing.append(lambda: self._kernel.set_code_pages(before))

    def _enter_output(self) -> None:
        terminal = win.PROCESSED_OUTPUT | win.VIRTUAL_TERMINAL_PROCESSING
        self._enter(
            win.OUTPUT, lambda mode: mode | terminal | win.DISABLE_NEWLINE_AUTO_RETURN, lambda mode: mode | terminal
        )

    def _enter_input(self) -> None:
        cooked = win.PROCESSED_INPUT | win.LINE_INPUT | win.ECHO_INPUT
        terminal = win.VIRTUAL_TERMINAL_INPUT | win.WINDOW_INPUT
        self._enter(win.INPUT, lambda mode: mode & ~cooked | terminal)
        self._is_raw = True

    def _enter(self, standard: int, *wanted: Callable[[int], int]) -> None:
        """Sets the first mode that the console takes; what is no console is left alone."""
        handle = self._kernel.console(standard)
        mode = self._kernel.mode(handle) if handle is not None else None
        if handle is None or mode is None:
            return
        self._undoing.append(lambda: self._kernel.set_mode(handle, mode))
        if not any(self._kernel.set_mode(handle, want(mode)) for want in wanted):
            raise ConsoleError(
                "this console knows no terminal sequences: use Windows Terminal, or Windows 10 1809 or later"
            )

    def _read_keys(self, handle: int) -> bytes:
        while True:
            events = self._kernel.read_events(handle)
            if events is None:
                return b""
            if self._resized is not None and any(isinstance(event, BufferResized) for event in events):
                self._resized()
            if data := self._keys.of(events):
                return data

    def _read_lines(self, handle: int) -> bytes:
        """What was typed for a command that reads lines; Ctrl-Z at the beginning of one ends it."""
        while True:
            try:
                units = self._kernel.read_line(handle)
            except Interrupted:
                continue  # the signal has been heard elsewhere
            if not units:
                return b""
            text = self._lines.decode(units)
            if self._begins_line and text.startswith(CTRL_Z):
                return b""
            if text:
                self._begins_line = text.endswith("\n")
                return text.encode()
