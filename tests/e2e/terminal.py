"""A terminal with somebody at it: a program on a pty, and an emulator that shows what a person would see."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import threading
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from typing import Any, Self

import pexpect
import pyte

from tests.e2e.waiting import PATIENCE_S, until

ALTERNATE = 1049 << 5
"""How pyte counts the private mode of the alternate screen, which it does not know."""


class EmulatedScreen(pyte.Screen):
    """pyte's, with an alternate screen: what a full-screen program draws is gone when it ends."""

    _before: tuple[Any, Any] | None = None
    titles: tuple[str, ...] = ()

    def set_mode(self, *modes: int, **kwargs: Any) -> None:
        super().set_mode(*modes, **kwargs)
        if kwargs.get("private") and 1049 in modes:
            self._before = deepcopy(self.buffer), deepcopy(self.cursor)
            self.erase_in_display(2)

    def reset_mode(self, *modes: int, **kwargs: Any) -> None:
        super().reset_mode(*modes, **kwargs)
        if kwargs.get("private") and 1049 in modes and self._before is not None:
            self.buffer, self.cursor = self._before
            self._before = None

    def erase_in_display(self, how: int = 0, *args: Any, **kwargs: Any) -> None:
        """pyte gives the background's colour only to cells that have been written once; a terminal gives it to all."""
        for y in range(self.lines):
            for x in range(self.columns):
                self.buffer[y][x] = self.buffer[y][x]
        super().erase_in_display(how, *args, **kwargs)

    def set_title(self, param: str) -> None:
        super().set_title(param)
        self.titles += (param,)

    @property
    def is_alternate(self) -> bool:
        return self._before is not None

    def select_graphic_rendition(self, *attrs: int, **kwargs: Any) -> None:
        """xterm's `CSI > m` tells how keys are to be sent, and paints nothing."""
        if not kwargs.get("private"):
            super().select_graphic_rendition(*attrs)

    def report_device_attributes(self, *_args: Any, **_kwargs: Any) -> None:
        """Nobody answers: an answer would be typed, later than a person's keys or earlier."""

    def report_device_status(self, *_args: Any, **_kwargs: Any) -> None:
        """Nor this."""


class Terminal:
    """Begins the program at once; leaving it (`with`) ends it, however it goes."""

    def __init__(
        self, words: Sequence[str], environment: Mapping[str, str], *, columns: int = 120, rows: int = 30
    ) -> None:
        self.screen = EmulatedScreen(columns, rows)
        self._stream = pyte.ByteStream(self.screen)
        self._lock = threading.Lock()
        self.printed = b""
        self._told_until = 0
        self._child = pexpect.spawn(
            words[0], list(words[1:]), env=dict(environment), dimensions=(rows, columns), timeout=PATIENCE_S
        )
        self._child.delaybeforesend = None
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        with contextlib.suppress(ProcessLookupError):
            self._child.kill(signal.SIGCONT)
            self._child.kill(signal.SIGKILL)
        self._reader.join(PATIENCE_S)
        self._child.close(force=True)

    @property
    def pid(self) -> int:
        return int(self._child.pid)

    # hands

    def type(self, keys: str | bytes) -> None:
        data = keys.encode() if isinstance(keys, str) else keys
        while data:
            data = data[os.write(self._child.child_fd, data) :]

    def enter(self, words: str) -> None:
        self.type(words + "\r")

    def resize(self, columns: int, rows: int) -> None:
        with self._lock:
            self.screen.resize(rows, columns)
            self._child.setwinsize(rows, columns)

    def kill(self, number: int) -> None:
        self._child.kill(number)

    def close_window(self) -> None:
        """Tell the program what the system tells it when its terminal is closed."""
        self._child.kill(signal.SIGHUP)

    # eyes

    def _read(self) -> None:
        with contextlib.suppress(pexpect.EOF, OSError, ValueError):
            while True:
                try:
                    data = self._child.read_nonblocking(65536, timeout=PATIENCE_S)
                except pexpect.TIMEOUT:
                    continue
                with self._lock:
                    self.printed += data
                    self._stream.feed(data)

    def expect(self, wanted: str | bytes) -> None:
        """Wait until this has been printed, after what was expected before."""
        mark = wanted.encode() if isinstance(wanted, str) else wanted

        def found() -> bool:
            return mark in self.printed[self._told_until :] or self._over()

        until(found, f"{wanted!r} to be printed")
        assert mark in self.printed[self._told_until :], f"{wanted!r} was not printed before the end: {self.tail}"
        self._told_until = self.printed.index(mark, self._told_until) + len(mark)

    def shows(self, wanted: str) -> None:
        """Wait until this is on the screen."""
        self.comes_to(lambda: wanted in self.text, f"{wanted!r} to be shown")

    def comes_to(self, question: Callable[[], object], what: str) -> None:
        """Wait until the answer is yes; fail with the screen."""
        try:
            until(question, what)
        except AssertionError as error:
            raise AssertionError(f"{error}; the screen:\n{self.text}") from None

    @property
    def text(self) -> str:
        with self._lock:
            return "\n".join(line.rstrip() for line in self.screen.display).rstrip()

    @property
    def plain(self) -> str:
        """Everything printed, without what steers the terminal."""
        words = self.printed.decode("utf-8", "replace")
        return re.sub(r"\x1b(\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(\x07|\x1b\\)|[@-Z\\^_=>])", "", words)

    @property
    def tail(self) -> str:
        return repr(self.printed[-600:])

    def cells(self) -> list[Any]:
        """Every cell with its character, colours and attributes, and where the cursor is."""
        with self._lock:
            buffer, cursor = self.screen.buffer, self.screen.cursor
            rows = [tuple(buffer[y][x] for x in range(self.screen.columns)) for y in range(self.screen.lines)]
            return [*rows, (cursor.y, cursor.x, cursor.hidden)]

    # the end

    def _over(self) -> bool:
        return not self._reader.is_alive()

    def exit_code(self) -> int:
        """Wait for the end; 128 and more for a signal."""
        until(self._over, "the program to end")
        self._child.wait() if self._child.isalive() else None
        self._child.close()
        code, number = self._child.exitstatus, self._child.signalstatus
        return int(code) if code is not None else 128 + int(number or 0)
