"""A stream of frames in each direction that outlives its connections: what was not acknowledged is sent again.

No input or output here: bytes of a connection go into `receive`, and what is to be written comes out of `to_send`.
"""

from __future__ import annotations

from collections import deque
from typing import Iterator

from .frames import ACK, PING, PONG, STREAM, Frame, ProtocolError, Splitter, encoded, number, packet

ACK_AFTER = 64 * 1024
"""Bytes received since the last acknowledgement after which one is due without waiting for anything else."""
LARGEST_PACKET = 256 * 1024
SENT_AGAIN = 8 * 1024
"""Bytes in a packet of what is sent again: small, so that connections which break soon still get somewhere."""


class LinkLostError(Exception):
    """The two ends do not fit together any more: what the other end has not received is no longer kept."""


class Link:
    """One end of a link."""

    def __init__(self) -> None:
        self.received = 0
        """How many bytes of the other end's stream have arrived: what the other end is told when it comes back."""
        self._packets, self._frames = Splitter(), Splitter()
        self._acked = 0  # how many bytes of our stream the other end is known to have
        self._kept: deque[bytes] = deque()  # what follows them in our stream
        self._kept_bytes = 0
        self._out: list[bytes] = []  # packets for the connection of now
        self._told = 0
        self._connected = False

    @property
    def unacknowledged(self) -> int:
        """Bytes of our stream that the other end is not known to have."""
        return self._kept_bytes

    def connect(self, peer_received: int) -> None:
        """A new connection, whose other end has `peer_received` bytes of our stream: the rest is sent again.

        Raises LinkLostError where that cannot be.
        """
        if not self._acked <= peer_received <= self._acked + self._kept_bytes:
            raise LinkLostError(
                f"the other end has {peer_received} bytes, "
                f"and those from {self._acked} to {self._acked + self._kept_bytes} are kept"
            )
        self._forget_until(peer_received)
        self._packets = Splitter()
        self._told = self.received
        self._connected = True
        self._out = [
            packet(STREAM, piece[start : start + SENT_AGAIN])
            for piece in self._kept
            for start in range(0, len(piece), SENT_AGAIN)
        ]

    def disconnect(self) -> None:
        self._connected = False
        self._out = []

    def send(self, frame: Frame) -> None:
        data = encoded(frame)
        for start in range(0, len(data), LARGEST_PACKET):
            piece = data[start : start + LARGEST_PACKET]
            self._kept.append(piece)
            self._kept_bytes += len(piece)
            if self._connected:
                self._out.append(packet(STREAM, piece))

    def ping(self) -> None:
        """Ask for a sign of life; any packet that comes is one."""
        if self._connected:
            self._out.append(packet(PING))

    def acknowledge(self) -> None:
        """Tell the other end how much has arrived, if that is news: it then keeps no more of it."""
        if self._connected and self.received > self._told:
            self._told = self.received
            self._out.append(packet(ACK, number(self.received)))

    def to_send(self) -> bytes:
        """What is to be written to the connection; each byte is given once."""
        out, self._out = b"".join(self._out), []
        return out

    def receive(self, data: bytes) -> Iterator[Frame]:
        """The frames that are whole with these bytes of the connection. Raises ProtocolError."""
        for kind, payload in self._packets.packets(data):
            if kind == STREAM:
                self.received += len(payload)
                yield from self._frames.frames(payload)
                if self.received - self._told >= ACK_AFTER:
                    self.acknowledge()
            elif kind == ACK:
                self._take_ack(Frame(0, ACK, payload).number())
            elif kind == PING and self._connected:
                self._out.append(packet(PONG))

    def _take_ack(self, offset: int) -> None:
        if offset > self._acked + self._kept_bytes:
            raise ProtocolError("an acknowledgement of bytes that were never sent")
        self._forget_until(max(offset, self._acked))

    def _forget_until(self, offset: int) -> None:
        """Keep our stream only from there on; a piece of which the other end has a part is cut."""
        while self._kept and self._acked + len(self._kept[0]) <= offset:
            piece = self._kept.popleft()
            self._acked += len(piece)
            self._kept_bytes -= len(piece)
        if self._kept and offset > self._acked:
            cut = offset - self._acked
            self._kept[0] = self._kept[0][cut:]
            self._acked = offset
            self._kept_bytes -= cut
