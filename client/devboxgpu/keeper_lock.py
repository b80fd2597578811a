"""Who keeps a shell: one process holds a lock on a file for as long as it lives, and the system lets go of it."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from types import TracebackType


class KeeperLock:
    """Not to be mistaken by an id that another process has got since, nor by one that was killed."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._fd: int | None = None

    def __enter__(self) -> bool:
        """Whether it is ours now."""
        fd = os.open(self._file, os.O_RDWR | os.O_CREAT, 0o600)
        if not _take(fd):
            os.close(fd)
            return False
        self._fd = fd
        return True

    def __exit__(self, _kind: type[BaseException] | None, _value: object, _trace: TracebackType | None) -> None:
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def is_held(self) -> bool:
        """Whether another process has it."""
        if not self._file.exists():
            return False
        with self as is_ours:
            return not is_ours


if sys.platform == "win32":
    import msvcrt

    def _take(fd: int) -> bool:
        try:
            msvcrt.locking(fd, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True
else:
    import fcntl

    def _take(fd: int) -> bool:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True
