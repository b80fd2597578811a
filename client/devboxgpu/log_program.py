"""A program on pipes that goes on by itself, as one who reads its output meets it: a Remote without an input."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

from devboxgpu.agent_link import AgentLink
from devboxgpu.console.size import Size
from devboxgpu.errors import ConnectionLostError
from devboxgpu.escape_keys import Escape, EscapeKeys
from devboxgpu.streams import ChannelStream


class LogProgram:
    """What is typed goes nowhere, but the keys that leave are seen: `~d`, `~.` and Enter."""

    def __init__(self, link: AgentLink, stream: ChannelStream, on_key: Callable[[Escape], None]) -> None:
        self._link, self._stream, self._on_key = link, stream, on_key
        self._keys = EscapeKeys((Escape.DETACH, Escape.DISCONNECT))
        self.skipped: Callable[[int], None] = lambda _bytes: None
        """Told of bytes of output that were let go before they could be read."""

    @property
    def is_connected(self) -> bool:
        return self._link.is_connected

    async def send(self, data: bytes) -> None:
        for key in self._keys.feed(data).escapes:
            self._on_key(key)

    async def end_input(self) -> None:
        """Its input has ended already."""

    async def resize(self, size: Size) -> None:
        """It has no terminal."""

    def signal(self, name: str) -> bool:
        """Only Ctrl-C is meant for it: whoever goes away leaves it alone."""
        if name != "INT" or not self.is_connected:
            return False
        self._stream.message({"signal": name})
        return True

    async def output(self) -> AsyncIterator[tuple[bytes, bool]]:
        while (piece := await self._stream.read()) is not None:
            yield piece

    async def exit_code(self) -> int:
        result = await self._stream.result()
        if isinstance(code := result.get("exit"), int):
            return code
        error = result.get("error")
        said = error.get("message") if isinstance(error, dict) else "the agent does not say why"
        raise ConnectionLostError(f"its output cannot be read: {said}")

    async def messages(self) -> None:
        """Takes the agent's messages in, until the program ends."""
        while (message := await self._stream.next_message()) is not None:
            if isinstance(skipped := message.get("skipped"), int):
                self.skipped(skipped)

    async def leave(self) -> None:
        self._stream.close()
