"""A file on its way in: it lies beside its place under a name of its own until it is whole, and can be gone on with.

Used at both ends. Blocking: called from a worker thread.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
from functools import lru_cache
from typing import Any

from .file_errors import FileError
from .safe_names import PART_SUFFIX

RESUMED_FROM = 1024 * 1024
"""Bytes from which on a file's unfinished part is kept; a smaller one is sooner sent again."""
PIECE = 1024 * 1024
_BINARY = getattr(os, "O_BINARY", 0)
_FOLLOW_NOT = getattr(os, "O_NOFOLLOW", 0)


def part_path(path: str, identity: str) -> str:
    """Where the unfinished part lies. `identity` tells one content of the file from another: hexadecimal."""
    folder, name = os.path.split(path)
    return os.path.join(folder, f"{_part_prefix(name)}{identity[:16]}{PART_SUFFIX}")


def _part_prefix(name: str) -> str:
    # A name may be as long as a name can be: only the beginning of it is taken, and a mark for the whole.
    return f".{name[:40]}.{hashlib.sha256(os.fsencode(name)).hexdigest()[:8]}."


class IncomingFile:
    """Raises FileError throughout. Ended by `finish`, `keep` or `discard`, of which the first counts."""

    def __init__(self, path: str, identity: str, *, size: int) -> None:
        self.path, self.size = path, size
        self.part = part_path(path, identity)
        self.offset = 0
        """How much is there: the next byte that is wanted."""
        self._hash = hashlib.sha256()
        self._descriptor = -1

    def begin(self, *, resume: bool) -> int:
        """Opens it; how many bytes are there already, from an earlier try."""
        try:
            if os.path.isdir(self.path):
                raise FileError("IsDirectory", f"{self.path} is a directory")
            flags = os.O_RDWR | os.O_CREAT | _BINARY | _FOLLOW_NOT
            self._descriptor = os.open(self.part, flags, 0o600)
            if not stat.S_ISREG(os.fstat(self._descriptor).st_mode):
                raise FileError("FileFailed", f"{self.part} is no ordinary file")
            self._take_up() if resume else self._start_anew()
        except OSError as error:
            raise self._failed(error) from error
        return self.offset

    def write(self, data: bytes) -> None:
        if self.offset + len(data) > self.size:
            raise FileError("ChecksumMismatch", f"{self.path}: more came than the {self.size} bytes announced")
        rest = memoryview(data)
        try:
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
        except OSError as error:
            raise self._failed(error) from error
        self._hash.update(data)
        self.offset += len(data)

    def finish(self, sha256: str, *, mode: int | None, mtime_ns: int | None) -> None:
        """Puts it in its place, whole and checked; discards it where the checksum is another."""
        if self.offset != self.size or self._hash.hexdigest() != sha256:
            self.discard()
            raise FileError("ChecksumMismatch", f"{self.path}: what arrived is not what was sent")
        try:
            os.fsync(self._descriptor)
            self._close()
            dress(self.part, 0o666 & ~umask() if mode is None else mode, mtime_ns)
            os.replace(self.part, self.path)
            _sync_folder(self.path)
        except OSError as error:
            self._close()
            self._unlink()
            raise FileError.of(self.path, error) from error
        if self.size >= RESUMED_FROM:
            self._remove_other_parts()

    def keep(self) -> None:
        """Closes it; what is there stays for the next try, unless it is too little to matter."""
        if self._close() and self.offset < RESUMED_FROM:
            self._unlink()

    def discard(self) -> None:
        """Closes it, and nothing of it stays. Once it is in its place, or was never begun, this does nothing."""
        if self._close():
            self._unlink()

    def _close(self) -> bool:
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)
        return descriptor >= 0

    def _unlink(self) -> None:
        with contextlib.suppress(OSError):
            os.unlink(self.part)

    def _take_up(self) -> None:
        while piece := os.read(self._descriptor, PIECE):
            self._hash.update(piece)
            self.offset += len(piece)
        if self.offset > self.size:
            self._start_anew()

    def _start_anew(self) -> None:
        os.ftruncate(self._descriptor, 0)
        os.lseek(self._descriptor, 0, os.SEEK_SET)
        self._hash, self.offset = hashlib.sha256(), 0

    def _failed(self, error: OSError) -> FileError:
        failure = FileError.of(self.path, error)
        if failure.code == "NoSpace":
            self.discard()  # the container needs the room more than the next try does
        return failure

    def _remove_other_parts(self) -> None:
        """What is left of tries to copy another content to the same place."""
        folder, name = os.path.split(self.path)
        with contextlib.suppress(OSError), os.scandir(folder or ".") as entries:
            for entry in entries:
                if entry.name.startswith(_part_prefix(name)) and entry.name.endswith(PART_SUFFIX):
                    os.unlink(entry.path)


@lru_cache(maxsize=None)
def umask() -> int:
    """What this process takes away from the modes of new files: it can only be asked by setting it, and so is once."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def dress(path: str, mode: int | None, mtime_ns: int | None) -> None:
    """Gives a file or directory its mode and the time of its last change; None leaves the one that it has."""
    if mode is not None:
        os.chmod(path, mode & 0o777)
    if mtime_ns is not None:
        os.utime(path, ns=(mtime_ns, mtime_ns))


def _sync_folder(path: str) -> None:
    """So that a crash does not lose the new name; folders that cannot be opened (Windows) are left to the system."""
    with contextlib.suppress(OSError):
        descriptor = os.open(os.path.dirname(path) or ".", os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def facts(status: os.stat_result) -> dict[str, Any]:
    """What is told of a file: size in bytes, mode, and when it was changed, in nanoseconds since 1970."""
    return {"size": status.st_size, "mode": stat.S_IMODE(status.st_mode), "mtime_ns": status.st_mtime_ns}
