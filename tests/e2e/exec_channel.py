"""A terminal in a session's container over the exec websocket, as a tool of somebody else's would open it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import quote_plus

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from tests.e2e.people import Shell
from tests.e2e.waiting import PATIENCE_S

OUTPUT, INPUT = b"\x00", "\x00\x00"


class ExecChannel:
    """One program on a pty in the container."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self.printed = b""

    def type(self, text: str) -> None:
        self._socket.send(INPUT + text)

    def read_until(self, wanted: str) -> None:
        """Read until this text has been printed."""
        while wanted.encode() not in self.printed:
            self._read()

    def read_to_the_end(self) -> None:
        """Read until the connection ends, however it does."""
        try:
            while True:
                self._read()
        except ConnectionClosed:
            return

    def _read(self) -> None:
        frame = self._socket.recv(timeout=PATIENCE_S)
        data = frame.encode() if isinstance(frame, str) else frame
        if data[:1] == OUTPUT:
            self.printed += data[2:]


@contextmanager
def in_container(shell: Shell, command: str = "sh") -> Iterator[ExecChannel]:
    """Connect through the API, as the shell's owner."""
    way_in = shell.connect()
    assert way_in.status == 200, way_in.text
    assert way_in.headers["Cache-Control"] == "no-store"
    url = f"{way_in.json['execUrl']}?command={quote_plus(command)}"
    headers = {"Authorization": f"Bearer {way_in.json['token']}"}
    with connect(url, additional_headers=headers, compression=None, proxy=None) as socket:
        yield ExecChannel(socket)
