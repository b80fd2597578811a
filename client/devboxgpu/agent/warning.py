"""A line above the prompt of programs on terminals (docs/agent.md, `warn`)."""

from __future__ import annotations

import re

from .channels import Channel, Handler
from .services import Agent, Request, RequestError, text
from .terminal_program import TerminalProgram

_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f]+")
LONGEST = 1000


def warn(channel: Channel, request: Request, agent: Agent) -> Handler:
    id_ = request.get("program")
    if id_ is not None and id_ not in agent.programs.by_id:
        raise RequestError("ProgramUnknown", f"there is no program {id_!r}")
    _warn(agent, text(request, "text"), id_)
    channel.close({})
    return Handler()


def _warn(agent: Agent, said: str, id_: str | None = None) -> None:
    """On the terminal of one program, or on all."""
    shown = _CONTROLS.sub(" ", said)[:LONGEST].encode("utf-8", "replace")
    for program in agent.programs.running:
        if isinstance(program, TerminalProgram) and id_ in (None, program.id):
            program.warn(shown)


class LinesOnTerminals:
    """Output that comes in pieces, as lines above the prompts of all terminals."""

    def __init__(self, agent: Agent, begin: str) -> None:
        self._agent, self._begin, self._rest = agent, begin, b""

    def __call__(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            _warn(self._agent, self._begin + line.decode("utf-8", "replace"))
