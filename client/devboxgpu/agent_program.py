"""A program that the agent runs (docs/agent.md, `program`): it outlives the connection to it."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Sequence

from devboxgpu.agent_link import AgentLink
from devboxgpu.console.size import Size
from devboxgpu.errors import ConnectionLostError
from devboxgpu.streams import ChannelStream

HANDED_ON = ("COLORTERM",)
"""Of our environment; TERM is the agent's own choice, because images know few names of terminals."""


def program_request(program: str, arguments: Sequence[str] | None, *, terminal: bool, size: Size) -> dict[str, object]:
    """Opens a program under this id; without arguments the user's shell."""
    return {
        "what": "program",
        "program": program,
        "argv": list(arguments) if arguments else None,
        "terminal": terminal,
        "columns": size.columns,
        "rows": size.rows,
        "env": {name: os.environ[name] for name in HANDED_ON if terminal and name in os.environ},
    }


class AgentProgram:
    """A Remote over a link."""

    def __init__(self, link: AgentLink, stream: ChannelStream) -> None:
        self._link, self._stream = link, stream
        self.skipped: Callable[[int], None] = lambda _bytes: None
        """Told of output that the agent let go, because it could not be sent as fast as it came."""

    @property
    def is_connected(self) -> bool:
        return self._link.is_connected

    async def send(self, data: bytes) -> None:
        await self._stream.write(data)

    async def end_input(self) -> None:
        self._stream.eof()

    async def resize(self, size: Size) -> None:
        self._stream.message({"resize": [size.columns, size.rows]})

    def signal(self, name: str) -> bool:
        if self.is_connected:
            self._stream.message({"signal": name})
        return self.is_connected

    async def output(self) -> AsyncIterator[tuple[bytes, bool]]:
        while (piece := await self._stream.read()) is not None:
            yield piece

    async def exit_code(self) -> int:
        result = await self._stream.result()
        code, error = result.get("exit"), result.get("error")
        if isinstance(code, int):
            return code
        if isinstance(error, dict):
            raise ConnectionLostError(f"the program was not started: {error.get('code')}: {error.get('message')}")
        raise ConnectionLostError("the program goes on, and another terminal has taken it over")

    async def messages(self) -> None:
        """Takes the agent's messages in, until the program ends."""
        while (message := await self._stream.next_message()) is not None:
            if isinstance(skipped := message.get("skipped"), int):
                self.skipped(skipped)

    def detach(self) -> None:
        """It goes on by itself from now on."""
        self._stream.message({"detach": True})

    async def started(self) -> bool:
        """Whether it has started; where not, `output` says why. For who takes no other messages."""
        return await self._stream.next_message() is not None

    async def detached(self) -> None:
        """Once the agent has let it go. Raises what the link was lost by."""
        await self._stream.result()

    async def leave(self) -> None:
        self._stream.close()
