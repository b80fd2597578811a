"""One file to the session, or from it: goes on where an earlier try stopped, and is in place whole or not at all."""

from __future__ import annotations

import asyncio
import hashlib
import os
import stat
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from devboxgpu.agent.file_errors import FileError
from devboxgpu.agent.incoming import RESUMED_FROM, IncomingFile
from devboxgpu.copying.entries import WINDOWS, Entry
from devboxgpu.copying.local_tree import own_mode
from devboxgpu.copying.remote_files import Opens, good_result
from devboxgpu.streams import ChannelStream

PIECE = 256 * 1024
HEAD = 64 * 1024
_BINARY = getattr(os, "O_BINARY", 0)
_NOT_BLOCKING = getattr(os, "O_NONBLOCK", 0)

Moved = Callable[[int, bool], None]
"""Told of so many bytes that have been moved, or that were there already (True)."""


class _Try:
    """What one try has moved, so that it can be taken back."""

    def __init__(self, moved: Moved) -> None:
        self._moved = moved
        self._sums = {False: 0, True: 0}

    def moved(self, size: int, was_there: bool) -> None:
        self._sums[was_there] += size
        self._moved(size, was_there)

    def take_back(self) -> None:
        for was_there, size in self._sums.items():
            self._moved(-size, was_there)


class OutgoingFile:
    """A file of this machine, read once from its beginning and hashed; as much of it as it had when it was opened."""

    def __init__(self, path: str) -> None:
        """Raises FileError."""
        self.path = path
        self._hash = hashlib.sha256()
        self._at = 0
        try:
            self._descriptor = os.open(path, os.O_RDONLY | _BINARY | _NOT_BLOCKING)
            self.status = os.fstat(self._descriptor)
        except OSError as error:
            raise FileError.of(path, error) from error
        if not stat.S_ISREG(self.status.st_mode):
            self.close()
            raise FileError("FileFailed", f"{path} is no ordinary file any more")

    @property
    def rest(self) -> int:
        return self.status.st_size - self._at

    @property
    def sha256(self) -> str:
        return self._hash.hexdigest()

    def identity(self) -> str:
        """Tells this content from another one of the same file: by size, time and beginning."""
        head = os.read(self._descriptor, HEAD)
        os.lseek(self._descriptor, 0, os.SEEK_SET)
        facts = f"{self.status.st_size}:{self.status.st_mtime_ns}:".encode()
        return hashlib.sha256(facts + head).hexdigest()

    def read(self, most: int = PIECE) -> bytes:
        try:
            data = os.read(self._descriptor, min(most, self.rest))
        except OSError as error:
            raise FileError.of(self.path, error) from error
        if not data:
            raise FileError("Changed", f"{self.path} became shorter while it was read")
        self._hash.update(data)
        self._at += len(data)
        return data

    def pass_over(self, count: int) -> None:
        """Reads what the other end has already, so that the checksum is of the whole."""
        while count > 0:
            count -= len(self.read(min(4 * PIECE, count)))

    def close(self) -> None:
        os.close(self._descriptor)


async def put(link: Opens, source: str, path: str, name: str, *, resume: bool, moved: Moved) -> None:
    """Copies a file of this machine to `name` below `path` of the session. Raises FileError."""
    for may_resume in dict.fromkeys((resume, False)):
        file, this = await asyncio.to_thread(OutgoingFile, source), _Try(moved)
        try:
            await _put(link, file, path, name, resume=may_resume, moved=this.moved)
        except FileError as error:
            # A part that was left by an earlier try may not be what it seemed to be: one more try, from the beginning.
            if not may_resume or error.code != "ChecksumMismatch":
                raise
            this.take_back()
        else:
            return
        finally:
            file.close()


async def _put(link: Opens, file: OutgoingFile, path: str, name: str, *, resume: bool, moved: Moved) -> None:
    size = file.status.st_size
    request = {
        "what": "put",
        "path": path,
        "name": name,
        "size": size,
        "mode": None if WINDOWS else stat.S_IMODE(file.status.st_mode),
        "mtime_ns": file.status.st_mtime_ns,
        "identity": await asyncio.to_thread(file.identity),
        "resume": resume and size >= RESUMED_FROM,
    }
    stream = await link.open(request)
    result = asyncio.ensure_future(good_result(stream))
    try:
        if request["resume"]:
            offset = await _offset(stream, result, size)
            await asyncio.to_thread(file.pass_over, offset)
            moved(offset, True)
        while file.rest and not result.done():
            data = await asyncio.to_thread(file.read)
            await stream.write(data)
            moved(len(data), False)
        stream.message({"sha256": file.sha256})
        stream.eof()
        await result
    finally:
        stream.close()
        result.cancel()


async def _offset(stream: ChannelStream, result: asyncio.Future[dict[str, Any]], size: int) -> int:
    message = await stream.next_message()
    if message is None:
        await result
        raise FileError("BadAnswer", "the session did not say how much of the file it has")
    offset = message.get("offset")
    return offset if isinstance(offset, int) and 0 <= offset <= size else 0


async def get(link: Opens, path: str, entry: Entry, target: str, *, resume: bool, moved: Moved) -> bool:
    """Copies `entry` below `path` of the session to `target`; whether it changed meanwhile. Raises FileError."""
    for may_resume in dict.fromkeys((resume, False)):
        this = _Try(moved)
        try:
            return await _get(link, path, entry, target, resume=may_resume, moved=this.moved)
        except FileError as error:
            if not may_resume or error.code != "ChecksumMismatch":
                raise
            this.take_back()
    raise AssertionError("the last try returns or raises")


async def _get(link: Opens, path: str, entry: Entry, target: str, *, resume: bool, moved: Moved) -> bool:
    incoming = _incoming(path, entry, target)
    stream: ChannelStream | None = None
    try:
        offset = await asyncio.to_thread(incoming.begin, resume=resume and entry.size >= RESUMED_FROM)
        request = {"what": "get", "path": path, "name": entry.name, "offset": offset}
        stream = await link.open({**request, "size": entry.size, "mtime_ns": entry.mtime_ns})
        message = await stream.next_message()
        if message is None:
            await good_result(stream)
            raise FileError("BadAnswer", "the session did not say what the file is")
        if (message.get("size"), message.get("mtime_ns"), message.get("offset")) != (
            entry.size,
            entry.mtime_ns,
            offset,
        ):
            entry, offset = _as_it_is_now(entry, message), 0
            await asyncio.to_thread(incoming.discard)
            incoming = _incoming(path, entry, target)
            await asyncio.to_thread(incoming.begin, resume=False)
        moved(offset, True)
        while (piece := await stream.read()) is not None:
            await asyncio.to_thread(incoming.write, piece[0])
            moved(len(piece[0]), False)
        result = await good_result(stream)
        checksum, mode = str(result.get("sha256")), own_mode(entry.mode)
        await asyncio.to_thread(incoming.finish, checksum, mode=mode, mtime_ns=entry.mtime_ns)
        return result.get("changed") is True
    finally:
        if stream is not None:
            stream.close()
        incoming.keep()


def _incoming(path: str, entry: Entry, target: str) -> IncomingFile:
    facts = f"{path}\0{entry.name}\0{entry.size}\0{entry.mtime_ns}"
    identity = hashlib.sha256(facts.encode("utf-8", "surrogateescape")).hexdigest()
    return IncomingFile(target, identity, size=entry.size)


def _as_it_is_now(entry: Entry, message: dict[str, Any]) -> Entry:
    size, mtime_ns = message.get("size"), message.get("mtime_ns")
    if not isinstance(size, int) or not isinstance(mtime_ns, int) or size < 0 or not 0 <= mtime_ns < 2**63:
        raise FileError("BadAnswer", "the session did not say what the file is")
    return replace(entry, size=size, mtime_ns=mtime_ns)
