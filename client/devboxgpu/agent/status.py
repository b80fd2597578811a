"""What goes on in the container: the facts from which others decide whether it is idle (docs/agent.md, `status`)."""

from __future__ import annotations

import os
import time
from typing import Any

from . import busy
from .channels import Channel, Handler
from .program import Program
from .services import Agent, Request, number

FIRST_LOOK_S = 1.0
LEAST_EVERY_S = 0.1
MOST_BEHIND = 64 * 1024
"""While more than this is under way, or waits for a connection, a message is left out: the next one says it newer."""


class Status(Handler):
    def __init__(self, channel: Channel, agent: Agent, every_s: float | None) -> None:
        self._channel, self._agent, self._every_s = channel, agent, every_s
        self._before = busy.look()
        self._later(FIRST_LOOK_S if every_s is None else min(FIRST_LOOK_S, every_s))

    def _later(self, seconds: float) -> None:
        self._timer = self._agent.loop.later(seconds, lambda: self._agent.gpu.ask(self._tell))

    def closed(self, result: dict[str, Any]) -> None:
        self._timer.cancel()

    def _tell(self, gpu_percent: int | None) -> None:
        if not self._channel.is_open:
            return
        if self._channel.unacknowledged < MOST_BEHIND:
            self._channel.message(self._facts(gpu_percent))
        if self._every_s is None:
            self._channel.close({})
        else:
            self._later(self._every_s)

    def _facts(self, gpu_percent: int | None) -> dict[str, Any]:
        now = busy.look()
        names = None
        if now is not None and self._before is not None:
            own = {os.getpid(), self._agent.gpu.pid}
            names = busy.names_between(self._before, now, own, self._agent.directory)
        self._before = now
        programs = self._agent.programs
        return {
            "programs": [_facts_of(program) for program in programs.by_id.values()],
            "terminal_s": round(time.monotonic() - programs.terminal_at, 1),
            "gpu_percent": gpu_percent,
            "busy": None if names is None else len(names),
            "busy_names": (names or [])[: busy.MOST_NAMES],
        }


def _facts_of(program: Program) -> dict[str, Any]:
    return {
        "program": program.id,
        "pid": program.pid,
        "terminal": program.is_terminal,
        "watched": program.viewer is not None or bool(program.readers),
        "exit": program.exit_code,
    }


def tell_status(channel: Channel, request: Request, agent: Agent) -> Handler:
    every_s = None if request.get("every_s") is None else number(request, "every_s", least=LEAST_EVERY_S)
    return Status(channel, agent, every_s)
