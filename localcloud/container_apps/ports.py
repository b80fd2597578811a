"""What the Container Apps stand-in needs of the world around it, as Protocols and plain values."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

CheckToken = Callable[[str], Awaitable[Mapping[str, object]]]
Publish = Callable[[dict[str, object]], Awaitable[None]]


class InvalidToken(Exception):
    """The bearer token is not acceptable; `reason` says why, in words for the caller."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Origins:
    """Where the two servers are reached, as http origins without a trailing slash."""

    arm: str
    exec: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessMark:
    """A process, not to be mistaken for a later one with the same id: id and start time (clock ticks since boot)."""

    pid: int
    started_ticks: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Gpu:
    """The GPU of one replica; `broken` is a container that came up without its GPU."""

    type: str
    uuid: str
    broken: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerPlan:
    """What one replica runs: a command in a directory of its own, with the container's environment."""

    replica: str
    directory: Path
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    gpu: Gpu | None = None
    has_python: bool = True


class CommandNotFound(Exception):
    """The container has no such program, or it cannot be executed."""


class Terminal(Protocol):
    """A program on a pty inside a replica."""

    async def read(self) -> bytes:
        """Return the next bytes that the program wrote; empty once it has ended and all was read."""
        ...

    async def write(self, data: bytes) -> None: ...
    def resize(self, *, columns: int, rows: int) -> None: ...
    async def exit_code(self) -> int:
        """Wait for the end; death by signal n counts as 128 + n, as a shell says it."""
        ...

    async def hang_up(self) -> None:
        """End the terminal's process groups, SIGHUP first, and give the pty back. May be called twice."""
        ...


class Machine(Protocol):
    """Runs containers as process trees. Nothing it starts ends with the process that started it."""

    def start_container(self, plan: ContainerPlan) -> ProcessMark:
        """Prepare the directory and start the command; raises CommandNotFound."""
        ...

    def is_alive(self, mark: ProcessMark) -> bool: ...
    async def wait(self, mark: ProcessMark) -> int | None:
        """Wait for the container's end; None where another process was the parent, so that nobody can know the code."""
        ...

    async def processes(self) -> Mapping[str, tuple[int, ...]]:
        """Return the living process ids by replica, whoever started them."""
        ...

    async def end(self, replica: str, directory: Path, *, main: ProcessMark | None = None, grace_s: float) -> None:
        """End every process of the replica, then remove its directory; returns only when nothing is left.

        `main`: the container's first process. It alone is told, and has so long; what it leaves dies without a word.
        """
        ...

    async def clear(self, directory: Path) -> None:
        """End whatever was ever started in this directory, then remove it: for one that no record knows."""
        ...

    def open_terminal(self, plan: ContainerPlan) -> Terminal:
        """Run the plan's command on a new pty in the replica's directory; raises CommandNotFound."""
        ...
