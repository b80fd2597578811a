"""An app's system log: what the service says of a replica that does not come (azure.md 3.3, 4.6). Advice, no proof."""

from __future__ import annotations

import re
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from urllib.parse import SplitResult, urlsplit

import msgspec

from shared.domain.provisioning import says_no_capacity
from shared.ports.clock import elapsed_s
from shared.ports.credentials import LOOPBACK

BUDGET_S = 2.0
MOST_BYTES = 256 * 1024
LONGEST = 300
_PIECE = 16 * 1024
_QUERY = "follow=false&output=json&tailLines=100"
_TROUBLE = re.compile(r"fail|error|backoff|terminated|evict", re.IGNORECASE)


class _Line(msgspec.Struct, frozen=True, rename="pascal"):
    """The parts of a line that are read, of whatever kind they come."""

    time_stamp: object = None
    reason: object = None
    msg: object = None


def read_troubles(endpoint: str, token: str) -> str:
    """Return the newest troubles that the log at this address tells of; empty for none, and where it cannot be read.

    The token goes to https and loopback addresses only. The log is a stream that need not end: it is read for 2
    seconds and 256 KiB at most.
    """
    try:
        return newest_troubles(_read(urlsplit(endpoint), token))
    except (OSError, HTTPException, ValueError):  # not there, no such protocol, an address or token that cannot be
        return ""


def newest_troubles(log: bytes) -> str:
    """Return the messages of the log's troubles, the newest first, each once, in at most 300 printable characters."""
    troubles = [line for line in map(_parsed, reversed(log.splitlines())) if line is not None and _is_trouble(line)]
    troubles.sort(key=lambda line: str(line.time_stamp), reverse=True)  # of one instant, the last line stays first
    text = "; ".join(dict.fromkeys(filter(None, (_printable(str(line.msg or "")) for line in troubles))))
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 3].rstrip()}..."


def _read(url: SplitResult, token: str) -> bytes:
    deadline_s, log = elapsed_s() + BUDGET_S, bytearray()
    connection = _connection(url)
    try:
        connection.connect()
        socket = connection.sock  # the connection forgets it once the answer has begun
        query = "&".join(filter(None, [url.query, _QUERY]))
        connection.request("GET", f"{url.path}?{query}", headers={"Authorization": f"Bearer {token}"})
        answer = connection.getresponse()
        while answer.status == 200 and not answer.isclosed() and len(log) < MOST_BYTES:
            socket.settimeout(max(0.001, deadline_s - elapsed_s()))
            piece = answer.read1(_PIECE)
            if not piece:
                break
            log += piece
    except TimeoutError:
        return bytes(log)
    finally:
        connection.close()
    return bytes(log)


def _connection(url: SplitResult) -> HTTPConnection:
    host = url.hostname or ""
    if url.scheme == "https" and host:
        return HTTPSConnection(host, url.port, timeout=BUDGET_S)
    if url.scheme == "http" and host in LOOPBACK:
        return HTTPConnection(host, url.port, timeout=BUDGET_S)
    raise ValueError("no token is sent to this address")


def _parsed(line: bytes) -> _Line | None:
    """Return the line, None where it is no JSON object, as the last one is when reading was broken off."""
    try:
        return msgspec.json.decode(line, type=_Line)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


def _is_trouble(line: _Line) -> bool:
    return bool(_TROUBLE.search(str(line.reason or ""))) or says_no_capacity(str(line.msg or ""))


def _printable(text: str) -> str:
    return " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())
