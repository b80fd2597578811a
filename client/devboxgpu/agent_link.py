"""The command's end of a link to the agent: kept over any number of connections, until it is closed or truly lost."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

from devboxgpu.agent.channels import Channels
from devboxgpu.agent.frames import ProtocolError
from devboxgpu.agent.link import Link, LinkLostError
from devboxgpu.agent_bootstrap import NoAgentError
from devboxgpu.agent_wire import Hello, LinkRefusedError, NoAnswerError, Ways
from devboxgpu.errors import ConnectionLostError, DevBoxGpuError, UnreachableError
from devboxgpu.exec_socket import DroppedError, NotReadyError
from devboxgpu.stop import cancelled
from devboxgpu.streams import ChannelStream

log = logging.getLogger(__name__)

FIRST_BACKOFF_S = 0.1
LONGEST_BACKOFF_S = 15.0
TICK_S = 1.0
KEEP_ALIVE_S = 20.0
"""The service drops a socket after about 30 s without traffic of ours."""
WORTH_ASKING_S = 3.0
"""Silence after something was sent, before the other end is asked whether it is there."""
DEAD_S = 12.0
"""Silence after it was asked."""
MOST_MUTE_TRIES = 5
"""Connections in a row on which the agent does not answer, before it is taken for lost."""
GOODBYE_S = 1.0
AGENT_GONE = (
    "the agent in the container has ended (killed, or the container ran out of memory) "
    "and the programs that it ran are gone with it"
)


class PacketWire(Protocol):
    """One connection (agent_wire.Wire)."""

    is_new: bool
    received: int

    async def send(self, data: bytes) -> None: ...
    def incoming(self) -> Any: ...
    async def keep_alive(self) -> None: ...
    async def close(self) -> None: ...
    def abort(self) -> None: ...


Connect = Callable[[Hello], Awaitable[PacketWire]]
"""One try, with a fresh token. Raises NotReadyError, DroppedError, UnreachableError or NoAnswerError where trying again
may help, NoAgentError, LinkRefusedError, or a DevBoxGpuError for a link that will not come back."""


class AgentLink:
    """Conversations with the agent over connections that come and go."""

    def __init__(self, connect: Connect) -> None:
        self._connect = connect
        self._link = Link()
        self._channels = Channels(self._link)
        self._hello = Hello(received=0, silence_s=None, ways=Ways())
        self._wire: PacketWire | None = None
        self._running: asyncio.Task[None] | None = None
        self._something_to_send = asyncio.Event()
        self._heard_at = self._sent_at = 0.0
        self._asked_at: float | None = None
        self.failure: DevBoxGpuError | None = None
        """Why the link is lost for good."""
        self.on_lost: Callable[[str], None] = lambda _reason: None
        """Told when a connection has broken, and why; trying to come back begins by itself."""
        self.on_back: Callable[[float], None] = lambda _seconds: None
        """Told when there is a connection again, and how many seconds there was none."""

    @property
    def is_connected(self) -> bool:
        return self._wire is not None

    def start(self, wire: PacketWire) -> None:
        """Begins with a first connection, made with `hello`."""
        self._link.connect(wire.received)
        self._wire = wire
        self._running = asyncio.ensure_future(self._run(wire))

    @property
    def hello(self) -> Hello:
        """What the next connection says."""
        self._hello.received = self._link.received
        return self._hello

    async def open(self, request: Mapping[str, object]) -> ChannelStream:
        """Begins a conversation; while there is no connection it begins with the next. Raises what lost the link."""
        if self.failure is not None:
            raise self.failure
        return ChannelStream(self._channels, request, self._something_to_send.set, self._why_lost)

    async def close(self) -> None:
        """Says goodbye, where somebody hears it: the agent then forgets the link."""
        self.on_lost = lambda _reason: None
        if self._wire is not None and self.failure is None:
            bye = await self.open({"what": "bye"})
            answer = asyncio.ensure_future(bye.result())
            await asyncio.wait({answer}, timeout=GOODBYE_S)
            await cancelled(answer)
        if self._running is not None:
            await cancelled(self._running)
        self._fail(ConnectionLostError("the link was closed"))

    async def _run(self, wire: PacketWire) -> None:
        try:
            while True:
                reason = await self._use(wire)
                wire = await self._reconnected(reason)
        except DevBoxGpuError as error:
            self._fail(error)
        except ProtocolError as error:
            self._fail(ConnectionLostError(f"what came from the container cannot be understood: {error}"))

    async def _use(self, wire: PacketWire) -> str:
        """Until the connection breaks; the reason."""
        self._wire = wire
        self._heard_at, self._asked_at = asyncio.get_running_loop().time(), None
        self._something_to_send.set()
        helpers = [asyncio.ensure_future(self._send(wire)), asyncio.ensure_future(self._watch(wire))]
        try:
            async for data in wire.incoming():
                self._heard_at, self._asked_at = asyncio.get_running_loop().time(), None
                self._channels.receive(data)
                self._something_to_send.set()
            return "the process at the other end is gone"
        except (DroppedError, NotReadyError) as error:
            return str(error)
        finally:
            self._wire = None
            self._link.disconnect()
            for helper in helpers:
                await cancelled(helper)
            wire.abort()

    async def _send(self, wire: PacketWire) -> None:
        while True:
            await self._something_to_send.wait()
            self._something_to_send.clear()
            if out := self._link.to_send():
                self._sent_at = asyncio.get_running_loop().time()
                await wire.send(out)

    async def _watch(self, wire: PacketWire) -> None:
        """Keeps the connection in use, and breaks it when nothing comes through it any more."""
        clock = asyncio.get_running_loop().time
        kept_at = clock()
        while True:
            await asyncio.sleep(TICK_S)
            now = clock()
            if self._asked_at is not None and now - self._asked_at >= DEAD_S:
                log.debug("nothing has come for %.0f s: the connection is dead", now - self._heard_at)
                wire.abort()
                return
            unanswered = self._sent_at > self._heard_at and now - self._sent_at >= WORTH_ASKING_S
            if now - kept_at >= KEEP_ALIVE_S or (unanswered and self._asked_at is None):
                kept_at, self._asked_at = now, self._asked_at or now
                self._link.acknowledge()
                self._link.ping()
                self._something_to_send.set()
                await wire.keep_alive()

    async def _reconnected(self, reason: str) -> PacketWire:
        """A new connection of the same link, however long that takes. Raises what makes it impossible."""
        clock = asyncio.get_running_loop().time
        lost_at, backoff_s, mute_tries = clock(), FIRST_BACKOFF_S, 0
        log.debug("connection lost: %s", reason)
        self.on_lost(reason)
        while True:
            await asyncio.sleep(backoff_s * random.uniform(0.5, 1.0))  # noqa: S311 - jitter
            try:
                wire = await self._connect(self.hello)
                self._resume(wire)
            except (NotReadyError, DroppedError, UnreachableError) as error:
                log.debug("not reconnected: %s", error)
            except NoAnswerError as error:
                mute_tries += 1
                if mute_tries == MOST_MUTE_TRIES:
                    raise ConnectionLostError(f"the agent in the container does not answer: {error}") from None
            except (LinkRefusedError, LinkLostError, NoAgentError) as error:
                log.debug("the link is lost: %s", error)
                raise ConnectionLostError(AGENT_GONE) from None
            else:
                self.on_back(clock() - lost_at)
                return wire
            backoff_s = min(backoff_s * 2, LONGEST_BACKOFF_S)

    def _resume(self, wire: PacketWire) -> None:
        try:
            if wire.is_new:  # another agent: what this link's programs did is not known to it
                raise LinkLostError("the agent does not know the link")
            self._link.connect(wire.received)
        except LinkLostError:
            wire.abort()
            raise

    def _fail(self, error: DevBoxGpuError) -> None:
        if self.failure is None:
            self.failure = error
            self._channels.lose(str(error))

    def _why_lost(self, reason: str) -> DevBoxGpuError:
        return self.failure or ConnectionLostError(reason)
