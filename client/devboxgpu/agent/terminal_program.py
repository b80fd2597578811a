"""A program on a terminal of its own. It waits for whoever takes its output, but not for long for who does not."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from .alternate_screen import ENTER, AlternateScreen
from .inlet import Inlet
from .loop import Timer
from .output import Ring
from .program import Program, Viewer, kill_group
from .spawn import OnTerminal, set_size

if TYPE_CHECKING:
    from .programs import Programs

READ = 64 * 1024
LEAST_FULL_READ = 4095
"""The kernel gives a terminal's output in pieces of this size while there is more."""
MOST_AFTER_END = 4 * 1024 * 1024
REDRAW_S = 0.05
QUIET_S = 1.0
"""What is printed so soon after the agent itself has caused it is nobody's activity."""
LOOK_AGAIN_S = 0.5
MOST_WAITING = 1024 * 1024
"""Bytes that may wait for whoever looks on before the program does."""
PATIENCE_S = 5.0
"""So long a program waits for somebody who takes nothing, as behind a lost connection; then the oldest is let go."""


class TerminalProgram(Program):
    is_terminal = True

    def __init__(self, programs: Programs, id_: str, started: OnTerminal, columns: int, rows: int) -> None:
        self._master = started.master
        self._columns, self._rows = columns, rows
        self._screen = AlternateScreen()
        self._warnings: list[bytes] = []
        self._quiet_until = 0.0
        self._ring = Ring()
        self._taken_at = 0.0
        self._patience: Timer | None = None
        inlet = Inlet(programs.agent.loop, started.master, is_pipe=False)
        super().__init__(programs, id_, started.pid, inlet, self._ring)
        self._listen()

    def look_on(self, viewer: Viewer) -> None:
        super().look_on(viewer)
        if self._screen.is_on:
            viewer.channel.send(ENTER)
        self._redraw()

    def pump(self) -> None:
        waiting = self._ring.waiting
        super().pump()
        if self._ring.waiting < waiting:
            self._taken_at = time.monotonic()
        self._listen()

    def leave(self) -> None:
        super().leave()
        self._listen()

    def resize(self, columns: int, rows: int) -> None:
        self._columns, self._rows = columns, rows
        if self.exit_code is None:
            set_size(self._master, columns, rows)

    def warn(self, text: bytes) -> None:
        """A line above the prompt; while a full-screen program is on, a bell now and the line when it ends."""
        if self._screen.is_on:
            self._warnings.append(text)
            self._show(b"\a")
        else:
            self._show(b"\r\n" + text + b"\r\n")
            self._redraw()

    def kill(self, number: int) -> None:
        """To whoever has the terminal, and to the shell that gave it to them."""
        if self.exit_code is not None:
            return
        try:
            foreground = os.tcgetpgrp(self._master)
        except OSError:
            foreground = 0
        if foreground > 0 and foreground != self.pid:
            kill_group(foreground, number)
        if foreground in (0, self.pid) or self.is_hung_up:
            super().kill(number)

    def finish_output(self) -> None:
        left = MOST_AFTER_END
        while left > 0:
            data, is_over = self._read()
            self._take(data)
            left -= len(data)
            if is_over or not data:
                break
        self.loop.close(self._master)

    def _listen(self) -> None:
        if self.exit_code is not None:
            return
        if self._waits():
            self.loop.no_reader(self._master)
            if self._patience is None:
                self._patience = self.loop.later(PATIENCE_S, self._look_again)
        else:
            self.loop.reader(self._master, self._on_output, late=True)

    def _waits(self) -> bool:
        too_many = self.viewer is not None and self._ring.waiting > MOST_WAITING
        return too_many and time.monotonic() - self._taken_at < PATIENCE_S

    def _look_again(self) -> None:
        self._patience = None
        self._listen()

    def _on_output(self) -> None:
        data, is_over = self._read()
        self._take(data)
        if is_over:  # nothing has it open just now; a program that still runs may open it again
            self.loop.no_reader(self._master)
            self.loop.later(LOOK_AGAIN_S, self._listen)

    def _read(self) -> tuple[bytes, bool]:
        """What there is now, up to about 64 KiB, and whether nothing has the terminal open."""
        pieces: list[bytes] = []
        length = 0
        while length < READ:
            try:
                piece = os.read(self._master, READ)
            except BlockingIOError:
                break
            except OSError:  # EIO
                return b"".join(pieces), True
            if not piece:  # how other systems than Linux say it
                return b"".join(pieces), True
            pieces.append(piece)
            length += len(piece)
            if len(piece) < LEAST_FULL_READ:
                break
        return b"".join(pieces), False

    def _take(self, data: bytes) -> None:
        if not data:
            return
        now = time.monotonic()
        if now >= self._quiet_until:
            self.programs.terminal_at = now
        was_on = self._screen.is_on
        self._screen.feed(data)
        self._show(data)
        if was_on and not self._screen.is_on and self._warnings:
            self._show(b"\r\n" + b"\r\n".join(self._warnings) + b"\r\n")
            self._warnings = []
            self._redraw()

    def _show(self, data: bytes) -> None:
        self._ring.append(data)
        self.pump()

    def _redraw(self) -> None:
        """The program is told that its window has changed, twice, so that it draws itself again."""
        if self.exit_code is not None:
            return
        self._quiet_until = time.monotonic() + QUIET_S
        set_size(self._master, self._columns, self._rows - 1 if self._rows > 1 else 2)
        self.loop.later(REDRAW_S, lambda: self.resize(self._columns, self._rows))
