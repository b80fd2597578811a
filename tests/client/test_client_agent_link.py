"""A link over connections that break: nothing lost, nothing doubled, and an end that is told."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest
from fake_agent import NOT_READY, FakeAgent
from in_loop import in_loop

from devboxgpu import agent_link
from devboxgpu.agent_link import AgentLink
from devboxgpu.agent_wire import NoAnswerError
from devboxgpu.errors import ConnectionLostError, RefusedError, SessionEndedError, UnreachableError
from devboxgpu.streams import ChannelStream


@pytest.fixture(autouse=True)
def _short_times(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name, value in {"FIRST_BACKOFF_S": 0.001, "LONGEST_BACKOFF_S": 0.01, "TICK_S": 0.01}.items():
        monkeypatch.setattr(agent_link, name, value)
    return


@asynccontextmanager
async def linked(agent: FakeAgent) -> AsyncIterator[AgentLink]:
    link = AgentLink(agent.connect)
    link.start(await agent.connect(link.hello))
    try:
        yield link
    finally:
        await link.close()


async def echoed(stream: ChannelStream, data: bytes) -> bytes:
    """The data sent in pieces of all sizes, and what came back."""

    async def send() -> None:
        rest = memoryview(data)
        size = 1
        while rest:
            await stream.write(bytes(rest[:size]))
            rest, size = rest[size:], size * 2 % 60_013 + 1
        stream.eof()

    sending, parts = asyncio.ensure_future(send()), []
    while piece := await stream.read():
        parts.append(piece[0])
    await sending
    return b"".join(parts)


@in_loop
async def test_a_hundred_drops_in_a_row_lose_nothing_and_double_nothing() -> None:
    agent, data = FakeAgent(), os.urandom(3 << 20)
    agent.cut_after = 60_000
    async with linked(agent) as link:
        lost: list[str] = []
        back: list[float] = []
        link.on_lost, link.on_back = lost.append, back.append
        stream = await link.open({"what": "program"})

        assert await echoed(stream, data) == data

        assert await stream.result() == {"exit": 0}
        assert agent.requests == [{"what": "program"}]
        assert len(lost) >= 100
        assert len(back) >= 100


@pytest.mark.parametrize("cut_after", [1, 4, 5, 6, 9, 13, 14, 37])
def test_a_cut_at_any_place_of_a_packet_is_mended(cut_after: int) -> None:
    @in_loop
    async def play() -> None:
        agent, data = FakeAgent(), os.urandom(40)
        async with linked(agent) as link:
            stream = await link.open({"what": "program"})
            await stream.write(data)
            agent.cut_after = cut_after  # of each connection that follows but the last
            assert agent.wire is not None
            agent.wire.abort()
            while agent.connections < 12:
                await asyncio.sleep(0.001)
            agent.cut_after = None
            stream.eof()
            got = b""
            while piece := await stream.read():
                got += piece[0]
            assert got == data

    play()


@in_loop
async def test_what_is_said_while_there_is_no_connection_is_said_afterwards() -> None:
    agent = FakeAgent()
    async with linked(agent) as link:
        agent.refuse_next = [NOT_READY, UnreachableError("no network"), NoAnswerError("a crash")]
        assert agent.wire is not None
        agent.wire.abort()
        while link.is_connected:
            await asyncio.sleep(0)

        stream = await link.open({"what": "program"})
        assert await echoed(stream, b"typed meanwhile") == b"typed meanwhile"

        assert agent.connections == 2


@pytest.mark.parametrize(
    ("why", "error"),
    [
        (SessionEndedError("the session was stopped: idle", reason="Idle"), SessionEndedError),
        (RefusedError("not entitled", status=403), RefusedError),
    ],
)
def test_an_end_that_is_found_on_the_way_back_is_what_everybody_is_told(why: Exception, error: type[Exception]) -> None:
    @in_loop
    async def play() -> None:
        agent = FakeAgent()
        async with linked(agent) as link:
            stream = await link.open({"what": "program"})
            agent.refuse_next = [NOT_READY, why]
            assert agent.wire is not None
            agent.wire.abort()

            with pytest.raises(error, match=str(why)):
                await stream.result()
            assert await stream.read() is None
            with pytest.raises(error):
                await link.open({"what": "program"})
            assert link.failure is why

    play()


@pytest.mark.parametrize("said", [0, 1])
def test_an_agent_that_was_killed_is_not_taken_for_the_one_before(said: int) -> None:
    @in_loop
    async def play() -> None:
        agent = FakeAgent()
        async with linked(agent) as link:
            stream = await link.open({"what": "program"})
            if said:
                await stream.write(b"x")
                await stream.read()
            await asyncio.sleep(0.01)
            agent.forget()
            assert agent.wire is not None
            agent.wire.abort()

            with pytest.raises(ConnectionLostError, match="agent in the container has ended"):
                await stream.result()
        assert len(agent.requests) == 1, "a program must not be run twice"

    play()


@in_loop
async def test_an_agent_that_never_answers_is_given_up() -> None:
    agent = FakeAgent()
    async with linked(agent) as link:
        stream = await link.open({"what": "program"})
        agent.refuse_next = [NoAnswerError("SyntaxError")] * 5
        assert agent.wire is not None
        agent.wire.abort()

        with pytest.raises(ConnectionLostError, match="does not answer: SyntaxError"):
            await stream.result()


@in_loop
async def test_a_connection_that_answers_nothing_any_more_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agent_link, "WORTH_ASKING_S", 0.02)
    monkeypatch.setattr(agent_link, "DEAD_S", 0.05)
    agent = FakeAgent()
    async with linked(agent) as link:
        stream = await link.open({"what": "program"})
        await echoed_once(stream, b"before")
        agent.deaf = True
        await stream.write(b"a key")
        while link.is_connected:
            await asyncio.sleep(0.001)
        agent.deaf = False

        assert await stream.read() == (b"a key", False)


@in_loop
async def test_an_idle_connection_is_kept_in_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agent_link, "KEEP_ALIVE_S", 0.02)
    agent = FakeAgent()
    async with linked(agent) as link:
        assert agent.wire is not None
        while agent.wire.kept_alive < 3:
            await asyncio.sleep(0.001)
        assert link.is_connected
        assert agent.connections == 1


async def echoed_once(stream: ChannelStream, data: bytes) -> None:
    await stream.write(data)
    assert await stream.read() == (data, False)


@in_loop
async def test_closing_says_goodbye() -> None:
    agent = FakeAgent()
    async with linked(agent):
        pass

    assert agent.requests == [{"what": "bye"}]
