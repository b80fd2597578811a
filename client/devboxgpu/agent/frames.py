"""What is said over a link, as bytes: packets on a connection, and frames in the stream that they carry.

A packet belongs to one connection and is lost with it; the stream is what survives. Both are a kind, a length and that
many bytes; a frame names its channel first. Numbers are big-endian.
"""

from __future__ import annotations

import json
import struct
from typing import Any, Iterator, NamedTuple

STREAM, ACK, PING, PONG = b"D", b"A", b"P", b"Q"
"""Kinds of packet: bytes of the stream; how many of it have arrived (an offset); is somebody there; yes."""

OPEN, DATA, ERROR_DATA, MESSAGE, EOF, CREDIT, CLOSE = b"O", b"D", b"S", b"M", b"E", b"W", b"C"
"""Kinds of frame. OPEN, MESSAGE and CLOSE hold a JSON object, CREDIT a number of bytes; EOF is empty."""

LARGEST = 1024 * 1024
"""Bytes of payload that one packet or frame may have; more is no protocol of ours."""

_PACKET = struct.Struct("!cI")
_FRAME = struct.Struct("!IcI")
_OFFSET = struct.Struct("!Q")


class ProtocolError(Exception):
    """The other end does not speak this protocol, or its bytes were damaged on the way."""


class Frame(NamedTuple):
    channel: int
    kind: bytes
    payload: bytes = b""

    def json(self) -> dict[str, Any]:
        """The object that it holds; raises ProtocolError."""
        try:
            value = json.loads(self.payload.decode("utf-8"))
        except (ValueError, RecursionError) as error:
            raise ProtocolError(f"a frame of kind {self.kind!r} holds no JSON") from error
        if not isinstance(value, dict):
            raise ProtocolError(f"a frame of kind {self.kind!r} holds no JSON object")
        return value

    def number(self) -> int:
        if len(self.payload) != _OFFSET.size:
            raise ProtocolError(f"a number of {len(self.payload)} bytes")
        return int(_OFFSET.unpack(self.payload)[0])


def packet(kind: bytes, payload: bytes = b"") -> bytes:
    return _PACKET.pack(kind, len(payload)) + payload


def encoded(frame: Frame) -> bytes:
    return _FRAME.pack(frame.channel, frame.kind, len(frame.payload)) + frame.payload


def json_frame(channel: int, kind: bytes, value: dict[str, Any]) -> Frame:
    return Frame(channel, kind, json.dumps(value, separators=(",", ":")).encode("ascii"))


def number(value: int) -> bytes:
    return _OFFSET.pack(value)


class Splitter:
    """Cuts bytes as they come into whole packets, or into whole frames. Raises ProtocolError for what is neither."""

    def __init__(self) -> None:
        self._rest = bytearray()

    def packets(self, data: bytes) -> Iterator[tuple[bytes, bytes]]:
        self._rest += data
        start, end = 0, len(self._rest)
        try:
            while end - start >= _PACKET.size:
                kind, length = _PACKET.unpack_from(self._rest, start)
                body = start + _PACKET.size
                _check(kind, length, (STREAM, ACK, PING, PONG))
                if end - body < length:
                    return
                start = body + length
                yield kind, bytes(self._rest[body:start])
        finally:
            del self._rest[:start]

    def frames(self, data: bytes) -> Iterator[Frame]:
        self._rest += data
        start, end = 0, len(self._rest)
        try:
            while end - start >= _FRAME.size:
                channel, kind, length = _FRAME.unpack_from(self._rest, start)
                body = start + _FRAME.size
                _check(kind, length, (OPEN, DATA, ERROR_DATA, MESSAGE, EOF, CREDIT, CLOSE))
                if end - body < length:
                    return
                start = body + length
                yield Frame(channel, kind, bytes(self._rest[body:start]))
        finally:
            del self._rest[:start]


def _check(kind: bytes, length: int, known: tuple[bytes, ...]) -> None:
    if kind not in known or length > LARGEST:
        raise ProtocolError(f"unknown kind {kind!r} of {length} bytes")
