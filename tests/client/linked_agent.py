"""The real operations of the agent, on its own loop in a thread, at the other end of a real link over a socket pair."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

from devboxgpu.agent.channels import Channel, Channels, Handler
from devboxgpu.agent.link import Link
from devboxgpu.agent.operations import OPERATIONS
from devboxgpu.agent.programs import Programs
from devboxgpu.agent.services import Agent, Request
from devboxgpu.agent_link import AgentLink
from devboxgpu.agent_wire import Hello, LinkRefusedError
from devboxgpu.exec_socket import DroppedError


class Bye(Handler):
    def __init__(self, channel: Channel) -> None:
        channel.close({})


class LinkedAgent:
    def __init__(self, home: Path) -> None:
        self.home = home
        self.requests: list[Request] = []
        self.cut_after: int | None = None
        """Bytes towards the agent after which the connection of now breaks, once."""
        self.operations = dict(OPERATIONS)
        self._agent = Agent(str(home), "hash", str(home))
        self._agent.programs = Programs(self._agent)
        self._agent.loop.after_round.append(self._flush)
        self.new_channels()
        self._known: str | None = None
        self._socket: socket.socket | None = None
        self._lost_for_good = False
        self._runs = True
        self._thread = threading.Thread(target=self._run, daemon=True)

    def new_channels(self) -> None:
        self.channels = Channels(Link(), self._accept)

    @contextlib.contextmanager
    def running(self) -> Iterator[LinkedAgent]:
        self._thread.start()
        try:
            yield self
        finally:
            self._agent.loop.soon(self._stop)
            self._thread.join(10)

    @contextlib.asynccontextmanager
    async def link(self) -> AsyncIterator[AgentLink]:
        link = AgentLink(self.connect)
        link.start(await self.connect(link.hello))
        try:
            yield link
        finally:
            await link.close()

    def kill(self) -> None:
        """The agent is gone, and what it knew of the link: it will not come back."""

        def die() -> None:
            self._known = None
            self.channels.lose("killed")
            self.new_channels()
            self._drop()

        self._agent.loop.soon(die)

    async def connect(self, hello: Hello) -> SocketWire:
        if self._known != hello.link and hello.received:
            raise LinkRefusedError("LinkUnknown", "this link is not known")
        ours, theirs = socket.socketpair()
        for end in (ours, theirs):
            end.setblocking(False)
        attached: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        loop, is_new = asyncio.get_running_loop(), self._known != hello.link

        def attach() -> None:
            self._drop()
            if is_new:
                self.new_channels()
            self._known, self._socket = hello.link, theirs
            received = self.channels.link.received
            self.channels.link.connect(hello.received)
            self._agent.loop.reader(theirs.fileno(), self._read)
            loop.call_soon_threadsafe(attached.set_result, received)

        self._agent.loop.soon(attach)
        return SocketWire(self, ours, received=await attached, is_new=is_new)

    @property
    def last_used_at(self) -> float:
        """What the agent tells as `terminal_s`, on its monotonic clock."""
        return self._agent.programs.terminal_at

    def _accept(self, channel: Channel, request: Request) -> Handler:
        self.requests.append(request)
        if request.get("what") == "bye":
            return Bye(channel)
        return self.operations[str(request["what"])](channel, request, self._agent)

    def _run(self) -> None:
        while self._runs:
            self._agent.loop._round()

    def _stop(self) -> None:
        self._runs = False
        self.channels.lose("the test is over")
        self._drop()

    def _drop(self) -> None:
        if self._socket is not None:
            self._agent.loop.watch(self._socket.fileno(), None, None)
            self._socket.close()
            self._socket = None
            self.channels.link.disconnect()

    def _read(self) -> None:
        assert self._socket is not None
        try:
            data = self._socket.recv(256 * 1024)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._drop()
        else:
            self.channels.receive(data)
            self.channels.link.acknowledge()

    def _flush(self) -> None:
        if self._socket is not None and (data := self.channels.link.to_send()):
            # The other end always reads: what it does with it has credit.
            self._socket.setblocking(True)
            with contextlib.suppress(OSError):
                self._socket.sendall(data)
            self._socket.setblocking(False)


class SocketWire:
    def __init__(self, agent: LinkedAgent, ours: socket.socket, *, received: int, is_new: bool) -> None:
        self._agent, self._socket = agent, ours
        self.received, self.is_new = received, is_new

    async def send(self, data: bytes) -> None:
        if self._agent.cut_after is not None:
            if len(data) >= self._agent.cut_after:
                self._agent.cut_after = None
                self._socket.shutdown(socket.SHUT_RDWR)
                raise DroppedError("cut")
            self._agent.cut_after -= len(data)
        with contextlib.suppress(OSError):
            await asyncio.get_running_loop().sock_sendall(self._socket, data)

    async def incoming(self) -> AsyncIterator[bytes]:
        while True:
            try:
                data = await asyncio.get_running_loop().sock_recv(self._socket, 256 * 1024)
            except OSError as error:
                raise DroppedError(str(error)) from None
            if not data:
                raise DroppedError("cut")
            yield data

    async def keep_alive(self) -> None:
        return

    async def close(self) -> None:
        self.abort()

    def abort(self) -> None:
        self._socket.close()
