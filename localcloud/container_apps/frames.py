"""The frames of the exec websocket: reference/azure.md 3.2."""

from __future__ import annotations

import json
from dataclasses import dataclass

_FORWARD, _INFO, _ERROR = 0, 1, 2
_STDIN, _STDOUT, _RESIZE = 0, 1, 4


class FrameNotUnderstood(Exception):
    """The client sent something that the protocol does not have."""


@dataclass(frozen=True, slots=True)
class Input:
    data: bytes


@dataclass(frozen=True, slots=True)
class Resize:
    columns: int
    rows: int


def read_frame(frame: bytes) -> Input | Resize:
    """Read a client's frame; raises FrameNotUnderstood."""
    if len(frame) < 2 or frame[0] != _FORWARD:
        raise FrameNotUnderstood("expected a forward frame (first byte 0) with a channel")
    if frame[1] == _STDIN:
        return Input(frame[2:])
    if frame[1] == _RESIZE:
        return _resize(frame[2:])
    raise FrameNotUnderstood(f"channel {frame[1]} does not exist")


def _resize(payload: bytes) -> Resize:
    try:
        size = json.loads(payload)
        columns, rows = int(size["Width"]), int(size["Height"])
    except (ValueError, KeyError, TypeError) as error:
        raise FrameNotUnderstood('a resize is {"Width": columns, "Height": rows}') from error
    if not (0 < columns <= 0xFFFF and 0 < rows <= 0xFFFF):
        raise FrameNotUnderstood(f"a terminal of {columns} by {rows} is not possible")
    return Resize(columns, rows)


def output(data: bytes) -> bytes:
    return bytes((_FORWARD, _STDOUT)) + data


def info(text: str) -> bytes:
    return bytes((_INFO,)) + text.encode()


def error(code: str, message: str) -> bytes:
    body = {"Error": {"Code": code, "Message": message, "Details": None, "Target": None, "AdditionalInfo": None}}
    return bytes((_ERROR,)) + json.dumps(body).encode()


def ended_with(command: str, exit_code: int) -> bytes:
    """Say that the command ended with a code other than 0: the only place where the protocol tells one."""
    return error(
        "ClusterExecFailure",
        "Cluster exec API returns error: command terminated with non-zero exit code: "
        f"error executing command [{command}], exit code {exit_code}. ",
    )


def could_not_run(why: str) -> bytes:
    return error(
        "ClusterExecEndpointWebSocketConnectionError",
        "Failed to connect to the cluster exec endpoint: server returned status code '500' when '101' was expected. "
        f"{why}",
    )
