"""A program on pipes: standard output and error apart, and it waits for whoever looks on, unless it is lossy."""

from __future__ import annotations

import array
import fcntl
import os
import termios
import time
from functools import partial
from typing import TYPE_CHECKING

from .inlet import Inlet
from .program import Program
from .spawn import OnPipes
from .spool import Spool

if TYPE_CHECKING:
    from .programs import Programs

READ = 64 * 1024


class PipedProgram(Program):
    def __init__(self, programs: Programs, id_: str, started: OnPipes, *, lossy: bool) -> None:
        inlet = Inlet(programs.agent.loop, started.stdin, is_pipe=True)
        super().__init__(programs, id_, started.pid, inlet, None)
        self._is_lossy = False
        self._given_away = 0  # bytes of output of which nothing is kept
        self._sources = {started.stdout: False, started.stderr: True}  # whether it is error output
        self._left: dict[int, int] = {}  # when it has ended: how much of its output is still to be read
        self.be_lossy(lossy=lossy)

    def be_lossy(self, *, lossy: bool) -> None:
        self._is_lossy = lossy
        if lossy and self.kept is None:
            self.kept = Spool(self.programs.agent.directory, self.id, begins=self._given_away)
        self._listen()

    def pump(self) -> None:
        super().pump()
        self._listen()

    def has_sent_all(self) -> bool:
        return not self._sources

    def finish_output(self) -> None:
        for fd in self._sources:
            count = array.array("i", [0])
            fcntl.ioctl(fd, termios.FIONREAD, count)
            self._left[fd] = count[0]
        for fd in list(self._sources):
            if not self._left[fd]:
                self._end(fd)
        self._listen()

    def _listen(self) -> None:
        """Reads on where there is room for what comes."""
        for fd in list(self._sources):
            if self._room() > 0:
                self.loop.reader(fd, partial(self._on_output, fd), late=True)
            else:
                self.loop.no_reader(fd)

    def _room(self) -> int:
        if self._is_lossy:
            return READ
        return min(READ, self.viewer.channel.credit) if self.viewer is not None else 0

    def _on_output(self, fd: int) -> None:
        room = min(self._room(), self._left.get(fd, READ))
        if room <= 0:
            self.loop.no_reader(fd)
            return
        try:
            data = os.read(fd, room)
        except BlockingIOError:
            return
        if data:
            self._take(data, is_error=self._sources[fd])
        if fd in self._left:
            self._left[fd] -= len(data)
        if not data or self._left.get(fd) == 0:
            self._end(fd)
            self.pump()

    def _take(self, data: bytes, *, is_error: bool) -> None:
        self.programs.terminal_at = time.monotonic()
        if self.kept is not None:
            self.kept.append(data, is_error=is_error)
            self.pump()
        elif self.viewer is not None:
            self._given_away += len(data)
            self.viewer.channel.send(data, is_error=is_error)
            if not self.viewer.channel.credit:
                self._listen()

    def _end(self, fd: int) -> None:
        """Its output counts no longer. What others that it left behind still print is read and thrown away."""
        del self._sources[fd]
        self.loop.reader(fd, partial(self._throw_away, fd), late=True)

    def _throw_away(self, fd: int) -> None:
        try:
            if os.read(fd, READ):
                return
        except BlockingIOError:
            return
        self.loop.close(fd)
