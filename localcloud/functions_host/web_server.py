"""Serves plain request handlers over HTTP/1.1; everything of the web library stays in this module."""

import asyncio
import errno
import socket
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web
from multidict import CIMultiDict

from localcloud.functions_host.http_exchange import HttpAnswer, HttpCall
from localcloud.functions_host.url_text import decode_path

Handler = Callable[[HttpCall], Awaitable[HttpAnswer]]

_LARGEST_BODY = 100 * 1024 * 1024  # bytes; the vendor's default for the whole request
_LONGEST_LINE = 16 * 1024
_LARGEST_HEADER = 32 * 1024
_BACKLOG = 512
_CLOSE_S = 0.25


class PortTaken(OSError):
    """Another process listens where this one was told to."""

    def __init__(self, host: str, port: int) -> None:
        super().__init__(f"port {port} of {host} is taken{_holder_of(port)}; stop it, or give another port with --port")


def bind(host: str, port: int) -> socket.socket:
    """Take a TCP port without answering on it yet; 0 takes any free one. Raises PortTaken."""
    sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((host, port))
        sock.listen(_BACKLOG)
    except OSError as error:
        sock.close()
        if error.errno in (errno.EADDRINUSE, errno.EACCES):
            raise PortTaken(host, port) from error
        raise
    sock.setblocking(False)
    return sock


class WebServer:
    """One listening socket and its handler."""

    def __init__(self, sock: socket.socket, handler: Handler) -> None:
        self._sock = sock
        self.port = int(sock.getsockname()[1])
        self._handler = handler
        self._runner: web.ServerRunner | None = None
        self._site: web.SockSite | None = None
        self._in_flight = 0
        self._idle = asyncio.Event()
        self._idle.set()

    async def start(self) -> None:
        server = web.Server(
            self._serve,
            request_factory=_make_request,
            auto_decompress=False,
            max_line_size=_LONGEST_LINE,
            max_field_size=_LARGEST_HEADER,
            access_log=None,
        )
        self._runner = web.ServerRunner(server, handle_signals=False, shutdown_timeout=_CLOSE_S)
        await self._runner.setup()
        self._site = web.SockSite(self._runner, self._sock, backlog=_BACKLOG)
        await self._site.start()

    async def refuse(self) -> None:
        """Take no new connections; those that are open are still answered."""
        if self._site is not None:
            await self._site.stop()
            self._site = None

    async def drained(self, timeout_s: float) -> bool:
        """Wait until no request is being answered; whether that came to pass in time."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._idle.wait()
        except TimeoutError:
            return False
        return True

    async def close(self) -> None:
        """Drop what is left."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        self._in_flight += 1
        self._idle.clear()
        try:
            answer = await self._handler(await _read(request))
        except web.HTTPRequestEntityTooLarge:
            answer = HttpAnswer(status=413)
        finally:
            self._in_flight -= 1
            if not self._in_flight:
                self._idle.set()
        return web.Response(status=answer.status, headers=CIMultiDict(answer.headers), body=answer.body)


def _make_request(message: Any, payload: Any, protocol: Any, writer: Any, task: Any) -> web.BaseRequest:
    loop = asyncio.get_running_loop()
    return web.BaseRequest(message, payload, protocol, writer, task, loop, client_max_size=_LARGEST_BODY)


async def _read(request: web.BaseRequest) -> HttpCall:
    target, question_mark, query = _origin_form(request.raw_path).partition("?")
    return HttpCall(
        method=request.method,
        path=decode_path(target),
        raw_path=target,
        query=query,
        has_query=bool(question_mark),
        headers=_joined_headers(request),
        body=await _body(request),
        origin=f"http://{request.headers.get('Host', '')}",
    )


def _origin_form(target: str) -> str:
    """The path and query of a request target, also of one that names scheme and host."""
    if target.startswith("/"):
        return target
    return "/" + target.partition("://")[2].partition("/")[2]


def _joined_headers(request: web.BaseRequest) -> dict[str, str]:
    """Header names in lower case; values of a name that came more than once joined by commas."""
    joined: dict[str, str] = {}
    for name, value in request.headers.items():
        folded = name.lower()
        joined[folded] = f"{joined[folded]},{value}" if folded in joined else value
    return joined


async def _body(request: web.BaseRequest) -> bytes:
    """The body; empty where the request does not give its length, as the vendor's host has it."""
    if "Content-Length" not in request.headers:
        return b""
    if request.headers.get("Expect", "").lower() == "100-continue" and request.transport is not None:
        request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    return await request.read()


def _holder_of(port: int) -> str:
    """Which process listens on a port, as far as that can be seen; nothing where it cannot."""
    try:
        import psutil

        for connection in psutil.net_connections("tcp"):
            if connection.laddr and connection.laddr.port == port and connection.status == psutil.CONN_LISTEN:
                if connection.pid is None:
                    return ""
                command = " ".join(psutil.Process(connection.pid).cmdline())[:120]
                return f" by process {connection.pid} ({command})"
    except Exception:  # only makes a message better, and may fail in many ways (rights, platform, package)
        return ""
    return ""
