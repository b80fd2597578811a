"""A line above the prompt of programs on terminals (docs/agent.md, `warn`)."""

from __future__ import annotations

import re

from .channels import Channel, Handler
from .services import Agent, Request, RequestError, text
from .terminal_program import TerminalProgram

_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f]+")
LONGEST = 1000


def warn(channel: Channel, request: Request, agent: Agent) -> Handler:
    shown = _CONTROLS.sub(" ", text(request, "text"))[:LONGEST].encode("utf-8", "replace")
    id_ = request.get("program")
    if id_ is not None and id_ not in agent.programs.by_id:
        raise RequestError("ProgramUnknown", f"there is no program {id_!r}")
    for program in agent.programs.running:
        if isinstance(program, TerminalProgram) and id_ in (None, program.id):
            program.warn(shown)
    channel.close({})
    return Handler()
