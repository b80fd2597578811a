"""Ports of this machine that lead into a session: each connection is a conversation with the agent."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass

from devboxgpu.agent.file_errors import FileError
from devboxgpu.copying.remote_files import Opens, error_in
from devboxgpu.errors import ConnectionLostError, DevBoxGpuError, SessionEndedError
from devboxgpu.streams import ChannelStream

LOOPBACK = ("127.0.0.1", "::1")
PIECE = 64 * 1024
LARGEST_PORT = 65535
BACKLOG = 128


class PortError(DevBoxGpuError):
    """A port of this machine cannot be listened on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    local: int
    """0: any that is free."""
    host: str
    port: int

    @classmethod
    def read(cls, text: str) -> Route:
        """`11434`, `8080:11434`, `db:5432`, `8080:db:5432`, `8080:[::1]:5432`. Raises ValueError."""
        head, _, last = text.rpartition(":")
        port = _port(last)
        local, _, host = ("", "", head) if head and not head.split(":", 1)[0].isdigit() else head.partition(":")
        host = host.removeprefix("[").removesuffix("]")
        return cls(local=_port(local, least=0) if local else port, host=host or "localhost", port=port)


def _port(text: str, *, least: int = 1) -> int:
    if not text.isascii() or not text.isdigit() or not least <= int(text) <= LARGEST_PORT:
        raise ValueError(f"'{text}' is no port: a number from 1 to {LARGEST_PORT}")
    return int(text)


class Forwarding:
    """One route, listened on. Made within a running event loop; ended by `close`."""

    def __init__(self, link: Opens, route: Route, say: Callable[[str], None]) -> None:
        self._link, self.route, self._say = link, route, say
        self._servers: list[asyncio.Server] = []
        self._open: set[asyncio.Task[None]] = set()
        self._told = ""
        self.port = 0
        """The port of this machine."""

    async def listen(self, hosts: tuple[str, ...] = LOOPBACK) -> None:
        """Raises PortError where the port is taken."""
        self.port = self.route.local
        for host in hosts:
            try:
                server = await asyncio.start_server(self._accept, host, self.port, backlog=BACKLOG)
            except OSError as error:
                if self._servers and error.errno in {errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT, errno.EINVAL}:
                    continue  # no IPv6 here: the first address serves
                await self.close()
                raise PortError(_why_not(error, host, self.port)) from None
            self._servers.append(server)
            self.port = server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        for server in self._servers:
            server.close()
        for connection in list(self._open):
            connection.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._open.add(task)
            task.add_done_callback(self._open.discard)
        with contextlib.suppress(asyncio.CancelledError):
            await self._carry(reader, writer)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        well = False
        stream: ChannelStream | None = None
        try:
            stream = await self._link.open({"what": "forward", "host": self.route.host, "port": self.route.port})
            well = await _both_ways(stream, reader, writer)
            self._told = ""
        except FileError as error:
            self._tell(error)
        except (ConnectionLostError, SessionEndedError):
            pass  # the command tells it once, for all connections
        finally:
            if stream is not None:
                stream.close()
            if not well:
                _reset(writer)
            writer.close()

    def _tell(self, error: FileError) -> None:
        """Once, until a connection goes well: a browser tries again every moment."""
        text = str(error)
        if error.code == "ConnectionRefused":
            text = f"nothing listens on port {self.route.port} in the session yet ({error})"
        if error.code != "ConnectionReset" and text != self._told:
            self._told = text
            self._say(text)


async def _both_ways(stream: ChannelStream, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
    """Whether the connection ended well at both ends. Raises FileError, ConnectionLostError, SessionEndedError."""
    up = asyncio.ensure_future(_up(stream, reader))
    down = asyncio.ensure_future(_down(stream, writer))
    ending = asyncio.ensure_future(stream.result())
    try:
        while not ending.done():
            under_way = {side for side in (up, down) if not side.done()}
            await asyncio.wait({ending, *under_way}, return_when=asyncio.FIRST_COMPLETED)
            if any(side.done() and side.exception() is not None for side in (up, down)):
                return False  # the program at this end has gone
        if (error := error_in(await ending)) is not None:
            raise error
        await down
        return True
    finally:
        for task in (up, down, ending):
            task.cancel()
        await asyncio.gather(up, down, ending, return_exceptions=True)


async def _up(stream: ChannelStream, reader: asyncio.StreamReader) -> None:
    while data := await reader.read(PIECE):
        await stream.write(data)
    stream.eof()


async def _down(stream: ChannelStream, writer: asyncio.StreamWriter) -> None:
    while (piece := await stream.read()) is not None:
        writer.write(piece[0])
        await writer.drain()
    if not stream.ended_with:  # an end that is no failure
        writer.write_eof()


def _reset(writer: asyncio.StreamWriter) -> None:
    """So that the program does not take what it got for the whole."""
    own = writer.get_extra_info("socket")
    with contextlib.suppress(OSError):
        own.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


def _why_not(error: OSError, host: str, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"port {port} of this machine ({host}) is in use; choose another one: devboxgpu forward LOCAL:PORT"
    if error.errno == errno.EACCES:
        return f"port {port} of this machine may not be used by you; choose one from 1024 on: LOCAL:PORT"
    return f"port {port} of this machine ({host}) cannot be used: {error.strerror or error}"
