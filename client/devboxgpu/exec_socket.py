"""One open exec socket: a process with a terminal of its own in the session's container."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from urllib.parse import quote_plus, urlsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException

from devboxgpu import __version__
from devboxgpu.config_keys import LOOPBACK
from devboxgpu.console.size import Size
from devboxgpu.exec_frames import (
    NOT_READY_CODE,
    Failure,
    Frame,
    InputSplitter,
    Output,
    binary_frames,
    decode,
    resize_frame,
)
from devboxgpu.wire import ExecAccess

log = logging.getLogger(__name__)

PING_INTERVAL_S = 10.0
PING_PATIENCE_S = 20.0
KEEP_ALIVE_S = 20.0
"""The service drops a socket after about 30 s without traffic of ours; whether pings count there is unknown."""
HANDSHAKE_S = 15.0
CLOSED_ON_PURPOSE = frozenset({1000, 1005})
RETRIED_HANDSHAKES = frozenset({401, 403, 404, 429, 500, 502, 503, 504})


class NotReadyError(Exception):
    """The way in is not there yet: trying again is right."""


class DroppedError(Exception):
    """The socket closed without the remote process having ended."""


class BarredError(Exception):
    """The way in is refused for good."""


class ExecSocket:
    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        self._splitter = InputSplitter()
        self._size: Size | None = None
        self.exit_code = 0
        """Of the remote process; of meaning once `output` has ended."""

    @property
    def keeps_bytes(self) -> bool:
        """Whether part of a character waits for its rest."""
        return self._splitter.keeps_bytes

    async def send_input(self, data: bytes) -> None:
        await self._send(self._splitter.feed(data))

    async def send_binary(self, data: bytes) -> None:
        """For a service that is known to take large binary frames (agent_wire.py's ladder)."""
        await self._send(binary_frames(data))

    async def flush_input(self) -> None:
        await self._send(self._splitter.flush())

    async def resize(self, size: Size) -> None:
        self._size = size
        await self._send([resize_frame(size.columns, size.rows)])

    async def keep_alive(self) -> None:
        """Repeats the size for ever: an unchanged size disturbs nobody (no SIGWINCH)."""
        while True:
            await asyncio.sleep(KEEP_ALIVE_S)
            if self._size is not None:
                await self.resize(self._size)

    async def output(self) -> AsyncIterator[bytes]:
        """What the remote writes, until it ends; `exit_code` says how. Raises DroppedError or NotReadyError."""
        any_output = False
        async for frame in self._frames():
            match frame:
                case Output(data=data):
                    any_output = True
                    yield data
                case Failure(exit_code=int(code)):
                    self.exit_code = code
                    return
                case Failure(code=code, text=text) if code == NOT_READY_CODE and not any_output:
                    raise NotReadyError(text)
                case Failure(text=text):
                    raise DroppedError(text)
                case info:
                    log.debug("exec: %s", info.text)

    async def close(self) -> None:
        await self._connection.close()

    def abort(self) -> None:
        """Ends a connection whose other end is not there any more."""
        self._connection.transport.abort()

    async def _frames(self) -> AsyncIterator[Frame]:
        try:
            while True:
                frame = decode(await self._connection.recv(decode=False))
                if frame is not None:
                    yield frame
        except ConnectionClosed as closed:
            code = closed.rcvd.code if closed.rcvd is not None else None
            if code not in CLOSED_ON_PURPOSE:
                raise DroppedError(
                    f"the connection broke ({'no close frame' if code is None else f'code {code}'})"
                ) from None

    async def _send(self, frames: Sequence[str | bytes]) -> None:
        try:
            for frame in frames:
                await self._connection.send(frame)
        except ConnectionClosed:
            return  # whoever reads the output learns how it ended


async def open_socket(access: ExecAccess, command: str) -> ExecSocket:
    """Starts `command` in the container. Raises NotReadyError where trying again may help, else BarredError."""
    parts = urlsplit(access.url)
    is_loopback = parts.hostname in LOOPBACK
    if parts.scheme != "wss" and not (parts.scheme == "ws" and is_loopback):
        raise BarredError(f"the session's address is not encrypted ({parts.scheme}://{parts.hostname})")
    url = f"{access.url}{'&' if parts.query else '?'}command={quote_plus(command)}"
    try:
        connection = await connect(
            url,
            additional_headers={"Authorization": f"Bearer {access.token}"},
            user_agent_header=f"devboxgpu/{__version__}",
            compression=None,
            max_size=None,
            open_timeout=HANDSHAKE_S,
            ping_interval=PING_INTERVAL_S,
            ping_timeout=PING_PATIENCE_S,
            close_timeout=2.0,
            proxy=None if is_loopback else True,
        )
    except InvalidStatus as refused:
        status = refused.response.status_code
        if status in RETRIED_HANDSHAKES:
            raise NotReadyError(f"the session's container answered {status}") from None
        raise BarredError(f"the session's container refused the connection with status {status}") from None
    except (OSError, TimeoutError, WebSocketException) as error:
        raise NotReadyError(f"no connection to the session's container ({error})") from None
    return ExecSocket(connection)
