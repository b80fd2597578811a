"""The agent's operations on files (docs/agent.md), each a conversation. What goes wrong there is a FileError here."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from devboxgpu.agent.file_errors import FileError
from devboxgpu.agent.frames import LARGEST
from devboxgpu.copying.entries import Entry, Listing, Trouble, listing
from devboxgpu.streams import ChannelStream
from devboxgpu.wording import printable

MOST_SAID = 300


class Opens(Protocol):
    """What conversations are opened on: an AgentLink."""

    async def open(self, request: Mapping[str, object]) -> ChannelStream: ...


class RemoteFiles:
    """Raises FileError for a "no" of the agent, and ConnectionLostError when the link is lost."""

    def __init__(self, link: Opens) -> None:
        self.link = link

    async def listing(self, path: str) -> Listing:
        """Everything below a directory, or the one file."""
        return listing(await self._list(path, deep=True))

    async def look(self, path: str) -> Entry | None:
        """What is at a path, links followed; None where there is nothing."""
        try:
            return listing(await self._list(path, deep=False)).top
        except FileError as error:
            if error.code in {"NotFound", "NotDirectory"}:
                return None
            raise

    async def sha256(self, path: str, name: str) -> str:
        stream = await self.link.open({"what": "sum", "path": path, "name": name})
        try:
            return str((await good_result(stream)).get("sha256"))
        finally:
            stream.close()

    async def make(self, path: str, entries: Iterable[Mapping[str, object]]) -> list[Trouble]:
        """Makes directories and links; those that it could not."""
        stream = await self.link.open({"what": "make", "path": path})
        try:
            for entry in entries:
                await stream.write(json.dumps(entry).encode("ascii") + b"\n")
            stream.eof()
            result = await good_result(stream)
        finally:
            stream.close()
        errors = result.get("errors")
        told = [
            Trouble(name=str(item.get("name")), why=str(error_in(item)))
            for item in (errors if isinstance(errors, list) else [])
            if isinstance(item, dict)
        ]
        if not told and result.get("failed"):
            told.append(Trouble(name=path, why=f"{result['failed']} directories or links could not be made"))
        return told

    async def _list(self, path: str, *, deep: bool) -> list[dict[str, object]]:
        stream = await self.link.open({"what": "list", "path": path, "deep": deep})
        found: list[dict[str, object]] = []
        rest = b""
        try:
            while (piece := await stream.read()) is not None:
                *lines, rest = (rest + piece[0]).split(b"\n")
                found += [_object(line) for line in lines]
                if len(rest) > LARGEST:
                    raise FileError("BadAnswer", "the session sent a listing without lines")
            await good_result(stream)
        finally:
            stream.close()
        return found


async def good_result(stream: ChannelStream) -> dict[str, Any]:
    """The result of a conversation that went well. Raises FileError where it did not."""
    result = await stream.result()
    if (error := error_in(result)) is not None:
        raise error
    return result


def error_in(result: Mapping[str, Any]) -> FileError | None:
    error = result.get("error")
    if not isinstance(error, Mapping):
        return None
    return FileError(str(error.get("code")), printable(str(error.get("message")))[:MOST_SAID])


def _object(line: bytes) -> dict[str, object]:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise FileError("BadAnswer", "the session sent a listing that is none")
    return value
