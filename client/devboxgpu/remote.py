"""A process in the session's container as the command uses it, whatever carries it there."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Protocol

from devboxgpu.console.size import Size


class Remote(Protocol):
    @property
    def is_connected(self) -> bool:
        """Whether there is a way to it just now."""
        ...

    async def send(self, data: bytes) -> None:
        """Its input, or keys; waits while it takes nothing in."""
        ...

    async def end_input(self) -> None: ...

    async def resize(self, size: Size) -> None: ...

    def signal(self, name: str) -> bool:
        """`INT`, `TERM`, ...: False where it cannot be delivered."""
        ...

    def output(self) -> AsyncIterator[tuple[bytes, bool]]:
        """What it writes, and whether as an error, until it ends.

        Raises ConnectionLostError when the way to it is gone for good, SessionEndedError when its session is over.
        """
        ...

    async def exit_code(self) -> int:
        """Once the output has ended. Raises as `output` does."""
        ...

    async def leave(self) -> None:
        """Nobody looks on any more: it is hung up."""
        ...
