"""What the two ends of a new connection say before packets: hello, ladder, answer (docs/agent.md)."""

from __future__ import annotations

import base64
import json
import re
from typing import Any, Iterator, NamedTuple

VERSION = 1
RAW, BASE64, PROBE = "raw", "base64", "probe"
LADDER = bytes(range(256)) * 128
LONGEST_LINE = 4096
LARGEST_PIECE = 12 * 1024
"""Bytes of packets that one line of base64 carries at most."""
LONGEST_BASE64_LINE = 64 * 1024
_LINK = re.compile(r"[0-9a-f]{32}")


class HandshakeError(Exception):
    """What came is no hello of ours, or its bytes were damaged on the way."""


class Hello(NamedTuple):
    link: str
    received: int
    input: str
    output: str
    silence_s: float | None


def line(value: dict[str, Any]) -> bytes:
    return base64.b64encode(json.dumps(value, separators=(",", ":")).encode("ascii")) + b"\n"


def error_line(code: str, message: str) -> bytes:
    return line({"v": VERSION, "error": {"code": code, "message": message}})


def read_hello(text: bytes) -> Hello:
    """The hello in a line; raises HandshakeError that says what is wrong with it."""
    try:
        said = json.loads(base64.b64decode(text.strip(), validate=True).decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise HandshakeError("the hello is no base64 of JSON") from error
    if not isinstance(said, dict) or said.get("v") != VERSION:
        raise HandshakeError(f"the hello is not of version {VERSION}")
    link, received, silence_s = said.get("link"), said.get("received"), said.get("silence_s")
    ways = said.get("input"), said.get("output")
    if not isinstance(link, str) or not _LINK.fullmatch(link):
        raise HandshakeError("the hello's link is not 32 hexadecimal digits")
    if type(received) is not int or received < 0:
        raise HandshakeError("the hello's 'received' is no number of bytes")
    if not all(way in (RAW, BASE64, PROBE) for way in ways):
        raise HandshakeError(f"the hello's input and output are {ways!r}")
    if silence_s is not None and (type(silence_s) not in (int, float) or not 0 < silence_s < float("inf")):
        raise HandshakeError("the hello's 'silence_s' is no number of seconds")
    return Hello(link, received, str(ways[0]), str(ways[1]), silence_s)


def end_of_ladder(link: str) -> bytes:
    return f"\nEND {link}\n".encode("ascii")


def ladder(link: str) -> bytes:
    return LADDER + end_of_ladder(link)


class Base64Lines:
    """Bytes of packets as lines of base64, and back."""

    def __init__(self) -> None:
        self._rest = b""

    @staticmethod
    def encoded(data: bytes) -> bytes:
        pieces = (data[start : start + LARGEST_PIECE] for start in range(0, len(data), LARGEST_PIECE))
        return b"".join(base64.b64encode(piece) + b"\n" for piece in pieces)

    def decoded(self, data: bytes) -> Iterator[bytes]:
        """The pieces that are whole with these bytes; raises HandshakeError for what is none."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > LONGEST_BASE64_LINE:
            raise HandshakeError("a line of base64 does not end")
        for text in lines:
            try:
                yield base64.b64decode(text.strip(), validate=True)
            except ValueError as error:
                raise HandshakeError("a line is no base64") from error
