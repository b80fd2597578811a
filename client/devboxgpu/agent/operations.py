"""What can be asked for on a channel: the one table of operations, and how a request finds its own.

To add one: a factory in a module of its own (`services.Factory`), and its line here and in docs/agent.md.
"""

from __future__ import annotations

from .channels import Channel, Handler
from .files import Get, List, Make, Put, Sum
from .forward import Forward
from .hook import run_hook
from .log import tell_log
from .programs import open_program
from .services import Agent, Factory, Request, RequestError
from .status import tell_status
from .warning import warn

OPERATIONS: dict[str, Factory] = {
    "program": open_program,
    "status": tell_status,
    "warn": warn,
    "hook": run_hook,
    "log": tell_log,
    "forward": Forward,
    "get": Get,
    "put": Put,
    "list": List,
    "make": Make,
    "sum": Sum,
}


def accept(channel: Channel, request: Request, agent: Agent) -> Handler:
    """The handler for a request; a request that is not possible is closed with the reason, and nothing follows."""
    what = request.get("what")
    factory = OPERATIONS.get(what) if isinstance(what, str) else None
    try:
        if factory is None:
            raise RequestError(
                "UnknownRequest", f"this agent knows no {what!r}; it knows {', '.join(sorted(OPERATIONS))}"
            )
        return factory(channel, request, agent)
    except RequestError as error:
        channel.close(error.result())
    except OSError as error:  # no more processes, terminals or descriptors: nobody is left waiting for an answer
        channel.close(RequestError("OutOfResources", f"the container cannot do it now: {error}").result())
    return Handler()
