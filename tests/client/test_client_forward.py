"""Ports of this machine that lead into a session, over the agent's real operations and real TCP at both ends."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import pytest
from in_loop import in_loop
from linked_agent import LinkedAgent

from devboxgpu.commands.forward import _read
from devboxgpu.copying.remote_files import Opens
from devboxgpu.forwarding import Forwarding, PortError, Route

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
MIB = 1024 * 1024


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[LinkedAgent]:
    with LinkedAgent(tmp_path).running() as linked:
        yield linked


@contextlib.asynccontextmanager
async def server(serve: Serve) -> AsyncIterator[int]:
    """A program in the session; its port."""
    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield listening.sockets[0].getsockname()[1]
    finally:
        listening.close()


@contextlib.asynccontextmanager
async def forwarded(link: Opens, port: int) -> AsyncIterator[tuple[Forwarding, list[str]]]:
    said: list[str] = []
    forwarding = Forwarding(link, Route(local=0, host="localhost", port=port), said.append)
    await forwarding.listen()
    try:
        yield forwarding, said
    finally:
        await forwarding.close()


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()


async def exchange(port: int, data: bytes) -> bytes:
    """Sends all of it, then the end; what comes back until the end."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    answer = asyncio.ensure_future(reader.read())
    writer.write(data)
    await writer.drain()
    writer.write_eof()
    received = await answer
    writer.close()
    return received


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@in_loop
async def test_fifty_connections_at_once_each_get_their_own_bytes(agent: LinkedAgent):
    payloads = [os.urandom(20_000 + 997 * number) for number in range(50)]
    async with agent.link() as link, server(echo) as port, forwarded(link, port) as (forwarding, _):
        answers = await asyncio.gather(*(exchange(forwarding.port, payload) for payload in payloads))

    assert answers == payloads


@in_loop
async def test_the_end_of_one_direction_leaves_the_other_open(agent: LinkedAgent):
    async def count(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        size = len(await reader.read())  # to the end of what the client sends
        writer.write(b"%d bytes" % size)
        writer.close()

    async with agent.link() as link, server(count) as port, forwarded(link, port) as (forwarding, _):
        assert await exchange(forwarding.port, b"x" * 3 * MIB) == b"%d bytes" % (3 * MIB)


@in_loop
async def test_a_server_that_speaks_first_and_ends_first_is_heard_to_the_end(agent: LinkedAgent):
    async def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"g" * MIB)
        writer.write_eof()

    async with agent.link() as link, server(greet) as port, forwarded(link, port) as (forwarding, _):
        reader, writer = await asyncio.open_connection("127.0.0.1", forwarding.port)
        assert len(await reader.read()) == MIB
        writer.close()


@in_loop
async def test_a_refusal_is_told_once_and_the_connection_is_ended(agent: LinkedAgent):
    port = free_port()
    async with agent.link() as link, forwarded(link, port) as (forwarding, said):
        for _ in range(2):
            with contextlib.suppress(ConnectionError):
                assert await exchange(forwarding.port, b"hello?") == b""

    assert said == [f"nothing listens on port {port} in the session yet (localhost port {port}: Connection refused)"]


@in_loop
async def test_a_host_that_cannot_be_found_is_told(agent: LinkedAgent):
    async with agent.link() as link:
        said: list[str] = []
        forwarding = Forwarding(link, Route(local=0, host="no such host.invalid", port=1), said.append)
        await forwarding.listen()
        with contextlib.suppress(ConnectionError):
            await exchange(forwarding.port, b"")
        await forwarding.close()

    assert len(said) == 1
    assert said[0].startswith("no such host.invalid: ")


@in_loop
async def test_who_reads_slowly_holds_up_nobody_else_and_little_is_kept_for_it(agent: LinkedAgent):
    sent = 0

    async def pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        if await reader.read(1) == b"e":
            return await echo(reader, writer)
        with contextlib.suppress(ConnectionError):
            while True:
                writer.write(b"p" * 65536)
                await writer.drain()
                sent += 65536

    async with agent.link() as link, server(pour) as port, forwarded(link, port) as (forwarding, _):
        slow = socket.create_connection(("127.0.0.1", forwarding.port))
        slow.sendall(b"p")
        before = -1
        while sent == 0 or sent != before:  # until it pours no more
            before = sent
            await asyncio.sleep(0.1)
        assert await exchange(forwarding.port, b"e" + b"x" * MIB) == b"x" * MIB
        slow.close()

    assert before < 64 * MIB


@in_loop
async def test_a_program_that_breaks_off_is_seen_to_break_off(agent: LinkedAgent):
    """Half an answer must not look like a whole one."""

    async def break_off(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        own = writer.get_extra_info("socket")
        own.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        writer.transport.abort()

    async with agent.link() as link, server(break_off) as port, forwarded(link, port) as (forwarding, _):
        reader, writer = await asyncio.open_connection("127.0.0.1", forwarding.port)
        writer.write(b"x")
        with pytest.raises(ConnectionError):
            await reader.read()
        writer.close()


@in_loop
async def test_a_client_that_breaks_off_is_seen_by_the_program(agent: LinkedAgent):
    seen: asyncio.Future[BaseException | None] = asyncio.get_running_loop().create_future()

    async def wait(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"hello")
        try:
            await reader.read()
            seen.set_result(None)
        except ConnectionError as error:
            seen.set_result(error)

    async with agent.link() as link, server(wait) as port, forwarded(link, port) as (forwarding, _):
        reader, writer = await asyncio.open_connection("127.0.0.1", forwarding.port)
        assert await reader.readexactly(5) == b"hello"
        own = writer.get_extra_info("socket")
        own.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        writer.transport.abort()
        assert isinstance(await seen, ConnectionError)


@in_loop
async def test_a_dropped_connection_to_the_session_is_not_noticed(agent: LinkedAgent):
    payload = os.urandom(6 * MIB)
    agent.cut_after = 2 * MIB
    async with agent.link() as link, server(echo) as port, forwarded(link, port) as (forwarding, _):
        assert await exchange(forwarding.port, payload) == payload

    assert agent.cut_after is None, "nothing was cut"


@in_loop
async def test_an_agent_that_is_gone_ends_every_connection_as_broken(agent: LinkedAgent):
    async with agent.link() as link, server(echo) as port, forwarded(link, port) as (forwarding, said):
        reader, writer = await asyncio.open_connection("127.0.0.1", forwarding.port)
        writer.write(b"x")
        assert await reader.readexactly(1) == b"x"
        agent.kill()
        with pytest.raises(ConnectionError):
            await reader.read()
        writer.close()

    assert said == []


@in_loop
async def test_a_port_in_use_is_named(agent: LinkedAgent):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        async with agent.link() as link:
            with pytest.raises(PortError, match=f"port {port} of this machine .* is in use; choose another one"):
                await Forwarding(link, Route(local=port, host="localhost", port=80), print).listen()


@in_loop
async def test_only_this_machine_can_connect(agent: LinkedAgent):
    async with agent.link() as link, forwarded(link, 1) as (forwarding, _):
        names = {server.sockets[0].getsockname()[0] for server in forwarding._servers}

    assert names <= {"127.0.0.1", "::1"}


@pytest.mark.parametrize(
    ("text", "route"),
    [
        ("11434", Route(local=11434, host="localhost", port=11434)),
        ("0:80", Route(local=0, host="localhost", port=80)),
        ("8080:80", Route(local=8080, host="localhost", port=80)),
        ("db.internal:5432", Route(local=5432, host="db.internal", port=5432)),
        ("15432:db.internal:5432", Route(local=15432, host="db.internal", port=5432)),
        ("8080:[::1]:80", Route(local=8080, host="::1", port=80)),
    ],
)
def test_a_port_is_read_as_it_is_written(text: str, route: Route):
    assert Route.read(text) == route
    assert _read((text,)) == (None, [route])
    assert _read(("s-1", text)) == ("s-1", [route])


@pytest.mark.parametrize("text", ["0", "65536", "x", "80:", ":", "1:0", "99999:80", "８０"])
def test_what_is_no_port_is_refused(text: str):
    with pytest.raises(ValueError, match="is no port"):
        Route.read(text)
