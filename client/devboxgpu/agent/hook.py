"""The user's own `~/.devboxgpu/on-stop`, run before a planned stop: with a time limit, its output kept."""

from __future__ import annotations

import os
import signal
import time
from typing import Any, Callable, NamedTuple

from . import spawn
from .channels import Channel, Handler
from .hook_claim import HookClaim
from .hook_log import KEEPS, READ, HookLog, after, size_of
from .loop import Timer
from .program import kill_group
from .programs import home
from .services import Agent, Request, number
from .warning import LinesOnTerminals

PLACE = os.path.join(".devboxgpu", "on-stop")
DEFAULT_LIMIT_S = 60.0
LAST_WORDS_S = 2.0
LOOK_EVERY_S = 0.1
WATCH_EVERY_S = 0.25
Result = Any
"""{"ran": bool, "exit": code or null, "seconds": n}"""


class _Asker(NamedTuple):
    on_output: Callable[[bytes], None]
    on_end: Callable[[Result], None]


class Hooks:
    """At most one run at a time, whoever runs it: who asks meanwhile gets the rest of its output and its result."""

    def __init__(self, agent: Agent) -> None:
        self._agent, self._loop = agent, agent.loop
        self._claim = HookClaim(agent.directory)
        self._askers: list[_Asker] = []
        self._ended_at: float | None = None
        self._started_at = 0.0
        self._pid = 0
        self._output = -1
        self._log: HookLog | None = None
        self._looks_on = False
        self._looks_until = 0.0
        self._began = self._told = size_of(_log())  # where the run of another began, and what was told of it
        self._timers: list[Timer] = []

    def watch(self) -> None:
        """Only the main process is told that the container ends: what its run prints is shown on every terminal."""
        is_shown = self._pid or self._looks_on or size_of(_log()) <= self._told
        if not is_shown and (self._claim.is_held() or self._claim.main_has_run()):
            self._started_at = time.monotonic()
            self._askers.append(_Asker(LinesOnTerminals(self._agent, "on-stop: "), lambda _: None))
            self._look_on_for(DEFAULT_LIMIT_S)
        self._loop.later(WATCH_EVERY_S, self.watch)

    def ran_within(self, seconds: float) -> bool:
        return self._ended_at is not None and time.monotonic() - self._ended_at < seconds

    def run(self, limit_s: float, on_output: Callable[[bytes], None], on_end: Callable[[Result], None]) -> None:
        """`on_end` may be called before this returns: where there is no hook, or it cannot be started."""
        path = os.path.join(home(), PLACE)
        is_anothers = self._looks_on or self._claim.main_has_run()
        if is_anothers and self._told > self._began:
            on_output(after(_log(), self._began)[: self._told - self._began])
        self._askers.append(_Asker(on_output, on_end))
        if self._pid or self._looks_on:
            return
        self._started_at = time.monotonic()
        if not (os.path.isfile(path) and os.access(path, os.X_OK)):
            self._tell({"ran": False, "exit": None, "seconds": 0.0})
            return
        if is_anothers or not self._claim.take():
            self._look_on_for(limit_s)
            return
        self._log = HookLog(_log())
        try:
            self._start(path, limit_s)
        except spawn.StartError as error:
            self._claim.release()
            self._print(f"{error}\n".encode("utf-8", "replace"))
            self._tell({"ran": False, "exit": error.code, "seconds": 0.0})

    def _look_on_for(self, limit_s: float) -> None:
        """At the run of another process, until that is over; as long as a run may take, for that process may hang."""
        self._looks_until = time.monotonic() + limit_s + LAST_WORDS_S
        self._look_on()

    def _look_on(self) -> None:
        is_held = self._claim.is_held()
        self._looks_on = is_held and time.monotonic() < self._looks_until
        for _ in range(KEEPS // READ):
            data = after(_log(), self._told)
            if not data:
                break
            self._told += len(data)
            self._print(data)
        if self._looks_on:
            self._loop.later(LOOK_EVERY_S, self._look_on)
            return
        seconds = round(time.monotonic() - self._started_at, 3)
        self._tell({"ran": True, "exit": None if is_held else self._claim.last_code(), "seconds": seconds})

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
        for _ in range(KEEPS // READ):
            self._on_output()
        self._loop.close(self._output)
        self._pid = 0
        self._ended_at = time.monotonic()
        self._claim.note_end(code)
        self._claim.release()
        self._tell({"ran": True, "exit": code, "seconds": round(self._ended_at - self._started_at, 3)})

    def _print(self, data: bytes) -> None:
        if self._log is not None:
            self._log.write(data)
        for asker in self._askers:
            asker.on_output(data)

    def _tell(self, result: Result) -> None:
        if self._log is not None:
            self._log.close()
            self._log = None
            self._began = self._told = size_of(_log())
        askers, self._askers = self._askers, []
        for asker in askers:
            asker.on_end(result)


def _log() -> str:
    return os.path.join(home(), PLACE) + ".log"


def run_hook(channel: Channel, request: Request, agent: Agent) -> Handler:
    """Its output as data, as far as the other end takes it at once: the hook never waits for a slow reader."""
    limit_s = number(request, "limit_s", default=DEFAULT_LIMIT_S)
    agent.hooks.run(limit_s, lambda data: channel.send(data[: channel.credit]), channel.close)
    return Handler()
