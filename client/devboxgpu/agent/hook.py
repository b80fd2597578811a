"""The user's own `~/.devboxgpu/on-stop`, run before a planned stop: with a time limit, its output kept."""

from __future__ import annotations

import os
import signal
import sys
import time
from typing import Any, Callable, NamedTuple

from . import spawn
from .channels import Channel, Handler
from .hook_claim import HookClaim
from .loop import Timer
from .program import kill_group
from .programs import home
from .services import Agent, Request, number

PLACE = os.path.join(".devboxgpu", "on-stop")
RAN = "hook-ran"
"""A file in the agent's directory, as old as the end of the last run."""
LOG_KEEPS = 1024 * 1024
DEFAULT_LIMIT_S = 60.0
LAST_WORDS_S = 2.0
READ = 64 * 1024
Result = Any
"""{"ran": bool, "exit": code or null, "seconds": n}, and "elsewhere": true where another process runs it just now."""


class _Asker(NamedTuple):
    on_output: Callable[[bytes], None]
    on_end: Callable[[Result], None]


class Hooks:
    """At most one run at a time: who asks while it runs gets the rest of its output and its result."""

    def __init__(self, agent: Agent) -> None:
        self._agent, self._loop = agent, agent.loop
        self._claim = HookClaim(agent.directory)
        self._askers: list[_Asker] = []
        self._ended_at: float | None = None
        self._started_at = 0.0
        self._pid = 0
        self._output = -1
        self._log: _Log | None = None
        self._timers: list[Timer] = []

    def ran_within(self, seconds: float) -> bool:
        return self._ended_at is not None and time.monotonic() - self._ended_at < seconds

    def run(self, limit_s: float, on_output: Callable[[bytes], None], on_end: Callable[[Result], None]) -> None:
        """`on_end` may be called before this returns: where there is no hook, or it cannot be started."""
        path = os.path.join(home(), PLACE)
        self._askers.append(_Asker(on_output, on_end))
        if self._pid:
            return
        self._started_at = time.monotonic()
        if not (os.path.isfile(path) and os.access(path, os.X_OK)):
            self._tell({"ran": False, "exit": None, "seconds": 0.0})
            return
        if not self._claim.take():
            self._tell({"ran": False, "exit": None, "seconds": 0.0, "elsewhere": True})
            return
        self._log = _Log(path + ".log")
        try:
            self._start(path, limit_s)
        except spawn.StartError as error:
            self._claim.release()
            self._print(f"{error}\n".encode("utf-8", "replace"))
            self._tell({"ran": False, "exit": error.code, "seconds": 0.0})

    def _start(self, path: str, limit_s: float) -> None:
        ours, its = os.pipe()
        try:
            self._pid = spawn.start_quietly(spawn.Command([path], dict(os.environ), home()), its)
        except spawn.StartError:
            os.close(ours)
            raise
        finally:
            os.close(its)
        os.set_blocking(ours, False)
        self._output = ours
        self._loop.reader(ours, self._on_output, late=True)
        self._loop.on_exit(self._pid, self._has_ended)
        pid = self._pid
        self._timers = [
            self._loop.later(limit_s, lambda: kill_group(pid, signal.SIGTERM)),
            self._loop.later(limit_s + LAST_WORDS_S, lambda: kill_group(pid, signal.SIGKILL)),
        ]

    def _on_output(self) -> None:
        try:
            data = os.read(self._output, READ)
        except BlockingIOError:
            return
        if data:
            self._print(data)
        else:
            self._loop.no_reader(self._output)

    def _has_ended(self, code: int) -> None:
        for timer in self._timers:
            timer.cancel()
        for _ in range(LOG_KEEPS // READ):
            self._on_output()
        self._loop.close(self._output)
        self._pid = 0
        self._ended_at = time.monotonic()
        self._tell_main_process()
        self._claim.release()
        self._tell({"ran": True, "exit": code, "seconds": round(self._ended_at - self._started_at, 3)})

    def _tell_main_process(self) -> None:
        """It runs the hook too when the container is to end, unless that has just been done."""
        try:
            with open(os.path.join(self._agent.directory, RAN), "ab") as file:
                os.utime(file.fileno())
        except OSError as error:  # then the hook runs twice, which is better than not at all
            sys.stderr.write(f"{RAN}: {error}\n")

    def _print(self, data: bytes) -> None:
        if self._log is not None:
            self._log.write(data)
        for asker in self._askers:
            asker.on_output(data)

    def _tell(self, result: Result) -> None:
        if self._log is not None:
            self._log.close()
            self._log = None
        askers, self._askers = self._askers, []
        for asker in askers:
            asker.on_end(result)


class _Log:
    """Keeps the newest MiB at most, over all runs; a disk that is full must not keep the hook from running."""

    def __init__(self, path: str) -> None:
        self._fd: int | None = None
        try:
            self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            self._size = os.lseek(self._fd, 0, os.SEEK_END)
        except OSError:
            self.close()

    def write(self, data: bytes) -> None:
        try:
            if self._fd is not None and self._size + len(data) > LOG_KEEPS:
                self._let_half_go(self._fd)
            if self._fd is not None:
                self._size += os.write(self._fd, data)
        except OSError:
            self.close()

    def close(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def _let_half_go(self, fd: int) -> None:
        newest = os.pread(fd, LOG_KEEPS // 2, max(0, self._size - LOG_KEEPS // 2))
        os.ftruncate(fd, 0)
        os.lseek(fd, 0, os.SEEK_SET)
        self._size = os.write(fd, newest)


def run_hook(channel: Channel, request: Request, agent: Agent) -> Handler:
    """Its output as data, as far as the other end takes it at once: the hook never waits for a slow reader."""
    limit_s = number(request, "limit_s", default=DEFAULT_LIMIT_S)
    agent.hooks.run(limit_s, lambda data: channel.send(data[: channel.credit]), channel.close)
    return Handler()
