"""The container's end of a link, in this process, with connections that can be cut at any byte.

It echoes what comes on a channel; a message `{"exit": n}` ends the conversation so.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from devboxgpu.agent.channels import Channel, Channels, Handler
from devboxgpu.agent.link import Link
from devboxgpu.agent_wire import Hello, LinkRefusedError
from devboxgpu.exec_socket import DroppedError, NotReadyError


class Echo(Handler):
    def __init__(self, channel: Channel) -> None:
        self.channel = channel
        self._held = b""
        self._at_eof = False

    def data(self, data: bytes, *, is_error: bool) -> None:
        self._held += data
        self.writable()

    def writable(self) -> None:
        sent, self._held = self._held[: self.channel.credit], self._held[self.channel.credit :]
        self.channel.send(sent)
        self.channel.consumed(len(sent))
        if self._at_eof and not self._held:
            self.channel.close({"exit": 0})

    def eof(self) -> None:
        self._at_eof = True
        self.writable()

    def message(self, message: dict[str, object]) -> None:
        if "exit" in message:
            self.channel.close(message)


class FakeAgent:
    def __init__(self) -> None:
        self.requests: list[dict[str, object]] = []
        self.connections = 0
        self.cut_after: int | None = None
        """Bytes in both directions after which each connection breaks, what is under way being lost."""
        self.deaf = False
        """Takes everything and answers nothing, as a connection does whose other end has gone."""
        self.refuse_next: list[Exception] = []
        self.channels = Channels(Link(), self._accept)
        self._known: str | None = None
        self.wire: FakeWire | None = None

    def _accept(self, channel: Channel, request: dict[str, object]) -> Handler:
        self.requests.append(request)
        if request.get("what") == "bye":
            channel.close({})
        return Echo(channel)

    async def connect(self, hello: Hello) -> FakeWire:
        if self.refuse_next:
            raise self.refuse_next.pop(0)
        if self._known != hello.link and hello.received:
            raise LinkRefusedError("LinkUnknown", "this link is not known")
        self.connections += 1
        is_new, self._known = self._known != hello.link, hello.link
        self.channels.link.connect(hello.received)
        self.wire = FakeWire(self, received=self.channels.link.received, is_new=is_new)
        self.wire.pass_on(self.channels.link.to_send())
        return self.wire

    def forget(self) -> None:
        """Killed and started again."""
        self._known, self.channels = None, Channels(Link(), self._accept)


class FakeWire:
    def __init__(self, agent: FakeAgent, *, received: int, is_new: bool) -> None:
        self._agent = agent
        self.received, self.is_new = received, is_new
        self._left = agent.cut_after
        self._out: asyncio.Queue[bytes | None] = asyncio.Queue()
        self.kept_alive = 0
        self.cut = False

    async def send(self, data: bytes) -> None:
        if self._agent.deaf:
            return
        arrived = self._count(data)
        if arrived:
            self._agent.channels.receive(arrived)
            self.pass_on(self._agent.channels.link.to_send())
        await asyncio.sleep(0)

    def pass_on(self, data: bytes) -> None:
        if arrived := self._count(data):
            self._out.put_nowait(arrived)

    async def incoming(self) -> AsyncIterator[bytes]:
        while (piece := await self._out.get()) is not None:
            yield piece
        raise DroppedError("cut")

    async def keep_alive(self) -> None:
        self.kept_alive += 1

    async def close(self) -> None:
        self.abort()

    def abort(self) -> None:
        if not self.cut:
            self.cut = True
            self._agent.channels.link.disconnect()
            self._out.put_nowait(None)

    def _count(self, data: bytes) -> bytes:
        """The part that still comes through."""
        if self.cut:
            return b""
        if self._left is None:
            return data
        passed, self._left = data[: self._left], max(0, self._left - len(data))
        if not self._left:
            asyncio.get_running_loop().call_soon(self.abort)
        return passed


NOT_READY = NotReadyError("not now")
