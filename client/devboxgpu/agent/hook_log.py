"""What the save hook printed, in a file beside it: the newest MiB at most, over all runs."""

from __future__ import annotations

import os

KEEPS = 1024 * 1024
READ = 64 * 1024


class HookLog:
    """Open for one run; a disk that is full must not keep the hook from running."""

    def __init__(self, path: str) -> None:
        self._fd: int | None = None
        try:
            self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            self._size = os.lseek(self._fd, 0, os.SEEK_END)
        except OSError:
            self.close()

    def write(self, data: bytes) -> None:
        try:
            if self._fd is not None and self._size + len(data) > KEEPS:
                self._let_half_go(self._fd)
            if self._fd is not None:
                self._size += os.write(self._fd, data)
        except OSError:
            self.close()

    def close(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def _let_half_go(self, fd: int) -> None:
        newest = os.pread(fd, KEEPS // 2, max(0, self._size - KEEPS // 2))
        os.ftruncate(fd, 0)
        os.lseek(fd, 0, os.SEEK_SET)
        self._size = os.write(fd, newest)


def size_of(path: str) -> int:
    try:
        return os.stat(path).st_size
    except OSError:
        return 0


def after(path: str, offset: int) -> bytes:
    """What is in the file from there on: at most one read; empty where there is no more, or it cannot be read."""
    try:
        with open(path, "rb", buffering=0) as file:
            return os.pread(file.fileno(), READ, offset)
    except OSError:
        return b""
