"""One connection: two descriptors that an exec process handed over, the handshake on them, then packets of a link.

What goes wrong ends the connection and nothing else, but for damage to the stream itself, which ends the link.
"""

from __future__ import annotations

import os
import socket
from typing import Callable

from . import handshake
from .frames import ProtocolError
from .handshake import BASE64, PROBE, RAW, Base64Lines, HandshakeError, Hello
from .links import ClientLink, Joined, Links

READ = 64 * 1024
HANDSHAKE_S = 60.0
LAST_WORDS_S = 5.0


class Connection:
    def __init__(self, links: Links, descriptors: tuple[int, int], front: socket.socket) -> None:
        self._links, self._loop, self._front = links, links.agent.loop, front
        self._reads, self._writes = descriptors
        self._link: ClientLink | None = None
        self._take: Callable[[], bool] = self._take_hello
        self._in = bytearray()
        self._out = b""
        self._sent = 0
        self._lines = Base64Lines()
        self._hello = Hello("", 0, "", "", None)
        self._input, self._output = RAW, RAW
        self._has_packets = self._ends = False
        self.is_open = True
        for fd in descriptors:
            os.set_blocking(fd, False)
        self._loop.reader(self._reads, self._on_input)
        self._loop.reader(front.fileno(), self.close)  # it never says anything but that it is gone
        self._deadline = self._loop.later(HANDSHAKE_S, self.close)

    def flush(self) -> None:
        """Sends what the link has to say, once all before it has been written: a stalled connection keeps no more."""
        if self._has_packets and self._link is not None and self.is_open and not self._out:
            self._link.link.acknowledge()
            data = self._link.link.to_send()
            if data:
                self._send(data if self._output == RAW else Base64Lines.encoded(data))
        if self._ends and not self._out:
            self.close()

    def finish(self) -> None:
        """Closes when everything has been sent, or soon."""
        self._ends = True
        self._deadline.cancel()
        self._deadline = self._loop.later(LAST_WORDS_S, self.close)
        self.flush()

    def close(self) -> None:
        if not self.is_open:
            return
        self.is_open = False
        self._deadline.cancel()
        self._loop.no_reader(self._front.fileno())
        self._front.close()
        for fd in (self._reads, self._writes):
            self._loop.close(fd)
        if self._link is not None:
            self._link.dropped(self)

    def _on_input(self) -> None:
        try:
            data = os.read(self._reads, READ)
        except BlockingIOError:
            return
        except OSError:  # EIO: the terminal is gone
            data = b""
        if not data:
            self.close()
            return
        self._in += data
        try:
            while self.is_open and self._take():
                continue
        except HandshakeError as error:
            self._refuse("HelloDamaged", str(error))

    def _take_hello(self) -> bool:
        text = self._line(handshake.LONGEST_LINE)
        if text is None or not text.strip():
            return text is not None
        self._hello = hello = handshake.read_hello(text)
        self._input, self._output = hello.input, hello.output
        self._take = self._take_ladder if hello.input == PROBE else self._answer
        return True

    def _take_ladder(self) -> bool:
        end = self._in.find(handshake.end_of_ladder(self._hello.link))
        if end < 0:
            if len(self._in) > 2 * len(handshake.LADDER):
                raise HandshakeError("the ladder does not end")
            return False
        self._input = RAW if self._in[:end] == handshake.LADDER else BASE64
        del self._in[: end + len(handshake.end_of_ladder(self._hello.link))]
        self._take = self._answer
        return True

    def _answer(self) -> bool:
        joined = self._links.join(self._hello, self)
        if not isinstance(joined, Joined):
            self._refuse(joined.code, joined.message)
            return False
        self._link, is_new = joined
        answer = {"v": handshake.VERSION, "agent": self._links.agent.hash, "pid": os.getpid()}
        answer.update({"received": self._link.link.received, "input": self._input, "new": is_new})
        self._send(handshake.line(answer))
        if self._output == PROBE:
            self._send(handshake.ladder(self._hello.link))
            self._take = self._take_choice
        else:
            self._begin_packets()
        return True

    def _take_choice(self) -> bool:
        text = self._line(handshake.LONGEST_LINE)
        if text is None:
            return False
        choice = text.strip().decode("ascii", "replace")
        if choice not in (RAW, BASE64):
            raise HandshakeError("the answer to the ladder is neither raw nor base64")
        self._output = choice
        self._begin_packets()
        return True

    def _begin_packets(self) -> None:
        self._deadline.cancel()
        self._has_packets = True
        self._take = self._take_packets

    def _take_packets(self) -> bool:
        data, self._in = bytes(self._in), bytearray()
        if data and self._link is not None:
            self._links.heard()
            try:
                for piece in (data,) if self._input == RAW else self._lines.decoded(data):
                    self._link.channels.receive(piece)
            except HandshakeError:
                self.close()
            except ProtocolError as error:
                self._links.end(self._link, f"damaged: {error}")
                self.close()
        return False

    def _line(self, longest: int) -> bytes | None:
        end = self._in.find(b"\n")
        if end < 0:
            if len(self._in) > longest:
                raise HandshakeError(f"a line of more than {longest} bytes")
            return None
        text = bytes(self._in[:end])
        del self._in[: end + 1]
        return text

    def _refuse(self, code: str, message: str) -> None:
        self._in.clear()
        self._take = lambda: False
        self._send(handshake.error_line(code, message))
        self.finish()

    def _send(self, data: bytes) -> None:
        self._out = self._out[self._sent :] + data if self._out else data
        self._sent = 0
        self._write()

    def _write(self) -> None:
        try:
            with memoryview(self._out) as out:
                while self._sent < len(out):
                    self._sent += os.write(self._writes, out[self._sent :])
        except BlockingIOError:
            self._loop.writer(self._writes, self._on_writable)
            return
        except OSError:  # EIO, EPIPE: nobody reads any more
            self.close()
            return
        self._out, self._sent = b"", 0
        self._loop.no_writer(self._writes)

    def _on_writable(self) -> None:
        self._write()
        if self.is_open and not self._out:
            self.flush()
