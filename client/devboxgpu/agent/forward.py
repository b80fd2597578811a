"""A TCP connection from inside the container, carried by a channel: bytes, the end of each direction, and resets."""

from __future__ import annotations

import errno
import os
import socket
import struct
from typing import Any, Tuple

from .channels import Channel, Handler
from .file_work import in_thread
from .services import Agent, Request

LARGEST_PIECE = 64 * 1024
LOCAL_FAMILIES = {
    "localhost": ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")),
    "127.0.0.1": ((socket.AF_INET, "127.0.0.1"),),
    "::1": ((socket.AF_INET6, "::1"),),
}
Address = Tuple[int, Tuple[Any, ...]]
"""A family, and where in it."""


class Forward(Handler):
    """One connection. `closed` is the other end giving up: a connection that ends well is closed from here."""

    def __init__(self, channel: Channel, request: Request, agent: Agent) -> None:
        self._channel, self._watch = channel, agent.loop.watch
        self._host, self._port = str(request.get("host") or "localhost"), _number(request.get("port"))
        self._socket: socket.socket | None = None
        self._addresses: list[Address] = []
        self._connected = self._ended_in = self._ended_out = self._eof_came = False
        self._pending: list[bytes] = []
        if not 0 < self._port < 65536:
            self._fail("Unreachable", "a port is a number from 1 to 65535")
        elif self._host in LOCAL_FAMILIES:
            self._try([(family, (host, self._port)) for family, host in LOCAL_FAMILIES[self._host]])
        else:
            in_thread(lambda: _addresses(self._host, self._port), self._try, agent)

    def data(self, data: bytes, *, is_error: bool) -> None:
        self._pending.append(data)
        self._write()

    def eof(self) -> None:
        self._eof_came = True
        self._write()

    def writable(self) -> None:
        self._look()

    def closed(self, result: dict[str, Any]) -> None:
        if self._socket is not None and self._connected:
            # The program must not take half of what it was sent for the whole: it sees a reset, not an end.
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._drop()

    def _try(self, addresses: list[Address] | OSError) -> None:
        if isinstance(addresses, OSError):
            self._fail("Unreachable", f"{self._host}: {addresses.strerror or addresses}")
        elif self._channel.is_open:
            self._addresses = list(addresses)
            self._connect(errno.EHOSTUNREACH)

    def _connect(self, last_error: int) -> None:
        """Begins a connection to the next address; `last_error` is what became of the one before."""
        self._drop()
        while self._addresses:
            family, address = self._addresses.pop(0)
            try:
                self._socket = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)
                code = self._socket.connect_ex(address)
            except OSError:
                continue  # a family that this container does not have
            if code in (0, errno.EINPROGRESS):
                self._watch(self._socket.fileno(), None, self._connect_ended)
                return
            self._drop()
            last_error = last_error if code == errno.EADDRNOTAVAIL else code
        code_name = "ConnectionRefused" if last_error == errno.ECONNREFUSED else "Unreachable"
        self._fail(code_name, f"{self._host} port {self._port}: {os.strerror(last_error)}")

    def _connect_ended(self) -> None:
        assert self._socket is not None
        code = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            self._connect(code)
            return
        self._connected = True
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._channel.message({"connected": True})
        self._write()

    def _read(self) -> None:
        assert self._socket is not None
        try:
            data = self._socket.recv(min(LARGEST_PIECE, self._channel.credit))
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self._broke(error)
            return
        if data:
            self._channel.send(data)
        else:
            self._ended_in = True
            self._channel.eof()
        self._look()

    def _write(self) -> None:
        if not self._connected or self._socket is None:
            return
        try:
            while self._pending:
                count = self._socket.send(self._pending[0])
                self._channel.consumed(count)
                self._pending[0] = self._pending[0][count:]
                if not self._pending[0]:
                    self._pending.pop(0)
            if self._eof_came and not self._ended_out:
                self._ended_out = True
                self._socket.shutdown(socket.SHUT_WR)
        except (BlockingIOError, InterruptedError):
            pass  # the socket takes no more for now
        except OSError as error:
            self._broke(error)
            return
        self._look()

    def _look(self) -> None:
        """Watches for what can be done now; ends when both directions have."""
        if not self._connected or self._socket is None:
            return
        if self._ended_in and self._ended_out:
            self._drop()
            self._channel.close({})
            return
        may_read = not self._ended_in and self._channel.credit > 0
        self._watch(self._socket.fileno(), self._read if may_read else None, self._write if self._pending else None)

    def _broke(self, error: OSError) -> None:
        self._fail("ConnectionReset", f"{self._host} port {self._port}: {error.strerror or error}")

    def _fail(self, code: str, message: str) -> None:
        self._drop()
        self._channel.close({"error": {"code": code, "message": message}})

    def _drop(self) -> None:
        if self._socket is not None:
            self._watch(self._socket.fileno(), None, None)
            self._socket.close()
            self._socket = None


def _number(port: object) -> int:
    return port if isinstance(port, int) else 0


def _addresses(host: str, port: int) -> list[Address] | OSError:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        return error if isinstance(error, OSError) else OSError(errno.EINVAL, str(error))
    return [(family, address) for family, _, _, _, address in found]
