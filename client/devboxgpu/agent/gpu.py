"""How busy the GPU is, asked of nvidia-smi, which may be missing, slow or stuck."""

from __future__ import annotations

import os
import shutil
import signal
import time
from typing import Callable

from . import spawn
from .loop import Loop
from .program import kill_group

ARGUMENTS = ("--query-gpu=utilization.gpu", "--format=csv,noheader,nounits")
LIMIT_S = 5.0
FRESH_S = 1.0
LARGEST_ANSWER = 64 * 1024
Then = Callable[["int | None"], None]


class Gpu:
    """One question at a time; who asks meanwhile gets the same answer. Percent, the highest of all; None: unknown."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._waiting: list[Then] = []
        self.pid = 0
        self._output = -1
        self._answer: int | None = None
        self._answered_at: float | None = None

    def ask(self, then: Then) -> None:
        if self._answered_at is not None and time.monotonic() - self._answered_at < FRESH_S:
            then(self._answer)
            return
        self._waiting.append(then)
        if len(self._waiting) > 1:
            return
        program = shutil.which("nvidia-smi")
        if program is None or self.pid:  # the one before is stuck, and cannot even be killed
            self._tell(None)
            return
        self._start(program)

    def _start(self, program: str) -> None:
        ours, its = os.pipe()
        command = spawn.Command([program, *ARGUMENTS], dict(os.environ), "/")
        try:
            self.pid = spawn.start_quietly(command, its)
        except spawn.StartError:
            os.close(ours)
            self._tell(None)
            return
        finally:
            os.close(its)
        os.set_blocking(ours, False)
        self._output = ours
        pid = self.pid
        limit = self._loop.later(LIMIT_S, lambda: self._give_up(pid))

        def ended(code: int) -> None:
            limit.cancel()
            self._ended(code)

        self._loop.on_exit(pid, ended)

    def _give_up(self, pid: int) -> None:
        kill_group(pid, signal.SIGKILL)
        self._tell(None)

    def _ended(self, code: int) -> None:
        """Its answer fits into the pipe, so it is read in one piece when it has ended."""
        self.pid = 0
        try:
            text = os.read(self._output, LARGEST_ANSWER)
        except BlockingIOError:
            text = b""
        os.close(self._output)
        self._tell(_highest(text) if code == 0 else None)

    def _tell(self, percent: int | None) -> None:
        waiting, self._waiting = self._waiting, []
        if waiting:
            self._answer, self._answered_at = percent, time.monotonic()
        for then in waiting:
            then(percent)


def _highest(text: bytes) -> int | None:
    """Lines are numbers, or words such as [N/A] where a GPU cannot tell."""
    numbers = [int(line) for line in text.decode("utf-8", "replace").splitlines() if line.strip().isdecimal()]
    return max(numbers, default=None)
