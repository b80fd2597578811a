"""The exec socket's frames (reference: azure.md 3.2, the protocol as Azure Container Apps speaks it).

Input goes as text frames of valid UTF-8 of at most 2 KiB, because the service is known to take those; bytes that are no
UTF-8 go as binary frames. Output is bytes and is never decoded.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

LARGEST_INPUT = 2048
"""Bytes of payload in one input frame."""
LARGEST_BINARY = 32 * 1024
STDIN_PREFIX = b"\x00\x00"
RESIZE_PREFIX = b"\x00\x04"
NOT_READY_CODE = "ClusterExecEndpointWebSocketConnectionError"

_EXIT_CODE = re.compile(r"exit code (\d+)")
_LONGEST_SIGN = 4


@dataclass(frozen=True, slots=True)
class Output:
    data: bytes


@dataclass(frozen=True, slots=True)
class Info:
    text: str


@dataclass(frozen=True, slots=True)
class Failure:
    """The error frame: the only place where an exit code other than 0 appears."""

    code: str
    text: str
    exit_code: int | None


Frame = Output | Info | Failure


def decode(message: bytes | str) -> Frame | None:
    """A frame from the service; None for a channel that means nothing to us."""
    data = message.encode() if isinstance(message, str) else message
    match data[:1]:
        case b"\x00" if data[1:2] in {b"\x01", b"\x02"}:
            return Output(data[2:])
        case b"\x01":
            return Info(data[1:].decode(errors="replace"))
        case b"\x02":
            return _failure(data[1:].decode(errors="replace"))
        case _:
            return None


def _failure(text: str) -> Failure:
    code, message = "", text
    try:
        error = json.loads(text)["Error"]
        code, message = str(error.get("Code") or ""), str(error.get("Message") or text)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        message = text  # not the envelope: the text itself is all there is
    found = _EXIT_CODE.search(message)
    return Failure(code=code, text=message, exit_code=int(found.group(1)) if found else None)


def resize_frame(columns: int, rows: int) -> str:
    return RESIZE_PREFIX.decode() + json.dumps({"Width": columns, "Height": rows})


def input_frame(data: bytes) -> str | bytes:
    """One frame of at most LARGEST_INPUT bytes: text where the bytes are UTF-8, binary where not."""
    try:
        return (STDIN_PREFIX + data).decode()
    except UnicodeDecodeError:
        return STDIN_PREFIX + data


def binary_frames(data: bytes) -> list[bytes]:
    return [STDIN_PREFIX + data[at : at + LARGEST_BINARY] for at in range(0, len(data), LARGEST_BINARY)]


class InputSplitter:
    """Cuts a stream of bytes into frames without cutting through a character.

    The beginning of a character whose rest has not come yet is kept; `flush` sends it as it is.
    """

    def __init__(self) -> None:
        self._kept = b""

    @property
    def keeps_bytes(self) -> bool:
        return bool(self._kept)

    def feed(self, data: bytes) -> list[str | bytes]:
        data, self._kept = self._kept + data, b""
        frames: list[str | bytes] = []
        while data:
            piece = data[:LARGEST_INPUT]
            unfinished = _unfinished_tail(piece)
            if unfinished:
                if len(data) == len(piece):
                    self._kept = piece[-unfinished:]
                    data = data[:-unfinished]
                piece = piece[:-unfinished]
            if piece:
                frames.append(input_frame(piece))
            data = data[len(piece) :]
        return frames

    def flush(self) -> list[str | bytes]:
        data, self._kept = self._kept, b""
        return [input_frame(data)] if data else []


def _unfinished_tail(data: bytes) -> int:
    """How many bytes at the end begin a UTF-8 character without completing it."""
    for length in range(1, min(_LONGEST_SIGN, len(data) + 1)):
        lead = data[-length]
        if lead & 0b1100_0000 == 0b1000_0000:
            continue
        expected = 2 if 0xC2 <= lead <= 0xDF else 3 if 0xE0 <= lead <= 0xEF else 4 if 0xF0 <= lead <= 0xF4 else 1
        return length if expected > length else 0
    return 0
