"""Files of the container, one conversation each (docs/agent.md): get, put, list, make, sum."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import stat
from typing import Any, Iterator

from .channels import Channel
from .file_errors import FileError
from .file_work import FileWork
from .incoming import PIECE, IncomingFile, facts
from .services import Agent, Request
from .tree import make, resolved, walk

ENTRIES_AT_ONCE = 200
MOST_ERRORS_TOLD = 50


class _Reader(FileWork):
    """An ordinary file that is read from its beginning and hashed, so much of it as it had when it was opened."""

    def __init__(self, channel: Channel, request: Request, agent: Agent) -> None:
        super().__init__(channel, request, agent)
        self._descriptor = -1
        self._at = 0
        self._hash = hashlib.sha256()
        self.do(self._open, self._opened)

    def _open(self) -> os.stat_result:
        self._path = self.place()
        try:
            self._descriptor = os.open(self._path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            status = os.fstat(self._descriptor)
        except OSError as error:
            raise FileError.of(self._path, error) from error
        if stat.S_ISDIR(status.st_mode):
            raise FileError("IsDirectory", f"{self._path} is a directory")
        if not stat.S_ISREG(status.st_mode):
            raise FileError("FileFailed", f"{self._path} is no ordinary file")
        return status

    def _opened(self, status: os.stat_result) -> None:
        self._status = status

    def _read(self, most: int) -> bytes:
        try:
            data = os.read(self._descriptor, min(most, self._status.st_size - self._at))
        except OSError as error:
            raise FileError.of(self._path, error) from error
        if not data:
            raise FileError("Changed", f"{self._path} became shorter while it was read")
        self._hash.update(data)
        self._at += len(data)
        return data

    @property
    def _is_read(self) -> bool:
        return self._at == self._status.st_size

    def _result(self) -> dict[str, Any]:
        now = os.fstat(self._descriptor)
        changed = (now.st_size, now.st_mtime_ns) != (self._status.st_size, self._status.st_mtime_ns)
        return {"sha256": self._hash.hexdigest(), "changed": changed}

    def release(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)


class Sum(_Reader):
    """What a file's bytes come to; nothing of them is sent."""

    def go_on(self) -> None:
        if self._is_read:
            self.end({**facts(self._status), **self._result()})
        else:
            self.do(lambda: self._read(4 * PIECE), lambda _: None)


class Get(_Reader):
    """A file's bytes from `offset` on, if it is still the one that the client has the beginning of."""

    def _opened(self, status: os.stat_result) -> None:
        super()._opened(status)
        known = (self.request.get("size"), self.request.get("mtime_ns"))
        offset = self.request.get("offset") or 0
        is_same = known == (status.st_size, status.st_mtime_ns)
        self._from = offset if is_same and 0 < offset <= status.st_size else 0
        self.channel.message({**facts(status), "offset": self._from})

    def go_on(self) -> None:
        if self._at < self._from:
            self.do(lambda: self._read(min(4 * PIECE, self._from - self._at)), lambda _: None)
        elif self._is_read:
            self.end(self._result())
        elif self.channel.credit:
            most = min(self.channel.credit, PIECE // 4)
            self.do(lambda: self._read(most), self.channel.send)


class Put(FileWork):
    """A file on its way in. The client sends its bytes from the offset that it is told, then `sha256`, then EOF."""

    _under_way: dict[str, Put] = {}  # noqa: RUF012 - what this class knows of its own; by the unfinished part's place

    def __init__(self, channel: Channel, request: Request, agent: Agent) -> None:
        super().__init__(channel, request, agent)
        self._pieces: list[bytes] = []
        self._at_eof = self._begun = False
        self._sha256 = ""
        self._file: IncomingFile | None = None
        try:
            path = self.place()
            identity, size = str(request.get("identity")), int(request.get("size") or 0)
            if not identity.isalnum() or size < 0:
                raise FileError("FileFailed", f"{path}: the request names no content")
        except FileError as error:
            self.end(error.result())
            return
        self._file = IncomingFile(path, identity, size=size)
        older = self._under_way.get(self._file.part)
        self._under_way[self._file.part] = self
        older.give_way(self._begin) if older is not None else self._begin()

    def data(self, data: bytes, *, is_error: bool) -> None:
        self._pieces.append(data)
        self._next()

    def message(self, message: dict[str, Any]) -> None:
        self._sha256 = str(message.get("sha256") or self._sha256)

    def eof(self) -> None:
        self._at_eof = True
        self._next()

    def go_on(self) -> None:
        file = self._file
        if file is None or not self._begun:
            return
        if self._pieces:
            data, self._pieces = b"".join(self._pieces), []
            self.do(lambda: file.write(data), lambda _: self.channel.consumed(len(data)))
        elif self._at_eof:
            mode, mtime_ns = self.request.get("mode"), self.request.get("mtime_ns")
            self.do(lambda: file.finish(self._sha256, mode=mode, mtime_ns=mtime_ns), lambda _: self.end({}))

    def release(self) -> None:
        if self._file is not None:
            self._file.keep()

    def released(self) -> None:
        if self._file is not None and self._under_way.get(self._file.part) is self:
            del self._under_way[self._file.part]

    def _begin(self) -> None:
        def begun(offset: int) -> None:
            self._begun = True
            self.channel.message({"offset": offset})

        file = self._file
        if file is not None and self.channel.is_open:
            self.do(lambda: file.begin(resume=bool(self.request.get("resume"))), begun)


class List(FileWork):
    """The entries of a tree, as lines of JSON."""

    def __init__(self, channel: Channel, request: Request, agent: Agent) -> None:
        super().__init__(channel, request, agent)
        self._entries: Iterator[dict[str, Any]] | None = None
        self._rest = b""
        self._at_end = False
        self._next()

    def go_on(self) -> None:
        if self._rest:
            self._send()
        elif self._at_end:
            self.end({})
        elif self.channel.credit:
            self.do(self._some, self._take)

    def _some(self) -> bytes:
        if self._entries is None:
            self._entries = walk(self.place(), deep=bool(self.request.get("deep", True)))
        return b"".join(json.dumps(e).encode("ascii") + b"\n" for e in itertools.islice(self._entries, ENTRIES_AT_ONCE))

    def _take(self, lines: bytes) -> None:
        self._at_end = not lines
        self._rest = lines
        self._send()

    def _send(self) -> None:
        now, self._rest = self._rest[: self.channel.credit], self._rest[self.channel.credit :]
        self.channel.send(now)


class Make(FileWork):
    """Directories and links of a tree, which come as lines of JSON; the result tells which could not be made."""

    def __init__(self, channel: Channel, request: Request, agent: Agent) -> None:
        super().__init__(channel, request, agent)
        self._rest = b""
        self._at_eof = False
        self._errors: list[dict[str, Any]] = []
        self._failed = 0

    def data(self, data: bytes, *, is_error: bool) -> None:
        self._rest += data
        self._next()

    def eof(self) -> None:
        self._at_eof = True
        self._next()

    def go_on(self) -> None:
        whole, _, rest = self._rest.rpartition(b"\n")
        if whole:
            size, self._rest = len(whole) + 1, rest
            self.do(lambda: self._make(whole.split(b"\n")), lambda _: self.channel.consumed(size))
        elif self._at_eof:
            self.end({"failed": self._failed, "errors": self._errors})

    def _make(self, lines: list[bytes]) -> None:
        for line in lines:
            entry = json.loads(line.decode("ascii"))
            try:
                name = str(entry.get("name") or "")
                make(resolved(str(self.request.get("path")), name, start=self.agent.start_directory), entry)
            except FileError as error:
                self._failed += 1
                if len(self._errors) < MOST_ERRORS_TOLD:
                    self._errors.append({"name": entry.get("name"), **error.result()})
