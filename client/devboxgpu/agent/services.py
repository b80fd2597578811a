"""What an operation gets from the agent, and how it says that a request is not possible.

A handler works on `agent.loop` and never waits. It sends on its channel while `channel.credit` lasts, and goes on in
`writable`; what has come it gives back with `channel.consumed` when it is dealt with.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable, Dict

from .channels import Channel, Handler
from .loop import Loop

if TYPE_CHECKING:
    from .gpu import Gpu
    from .hook import Hooks
    from .programs import Programs

Request = Dict[str, Any]


class RequestError(Exception):
    """The request cannot be done: the channel is closed with {"error": {"code", "message"}}."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code

    def result(self) -> dict[str, Any]:
        return {"error": {"code": self.code, "message": str(self)}}


class Agent:
    """What all operations share; the daemon puts it together."""

    def __init__(self, directory: str, hash_: str, start_directory: str) -> None:
        self.loop = Loop()
        self.directory = directory
        """The agent's own: mode 700, for sockets, spools and what else must not outlive the container."""
        self.hash = hash_
        self.start_directory = start_directory
        """Where programs start, and what relative paths of a request are relative to: the image's working directory."""
        self.programs: Programs
        self.hooks: Hooks
        self.gpu: Gpu


Factory = Callable[[Channel, Request, Agent], Handler]
"""Begins an operation; raises RequestError. It may already send on the channel, or close it."""


def text(request: Request, name: str, *, default: str | None = None) -> str:
    value = request.get(name, default)
    if not isinstance(value, str):
        raise RequestError("InvalidRequest", f"'{name}' must be text")
    return value


def number(request: Request, name: str, *, default: float | None = None, least: float = 0) -> float:
    """A number that is no less than `least`; the default where it is absent or null."""
    value = request.get(name)
    value = default if value is None else value
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not least <= value < float("inf"):
        raise RequestError("InvalidRequest", f"'{name}' must be a number of at least {least:g}")
    return value


def flag(request: Request, name: str) -> bool:
    value = request.get(name, False)
    if not isinstance(value, bool):
        raise RequestError("InvalidRequest", f"'{name}' must be true or false")
    return value
