"""Files that are never seen half written."""

from __future__ import annotations

import os
import stat
from pathlib import Path

PRIVATE = 0o600


def write_whole(file: Path, data: bytes, *, mode: int = PRIVATE) -> None:
    """All of it under that name, or what was there before; a link keeps pointing where it points. Raises OSError."""
    target = Path(os.path.realpath(file))
    target.parent.mkdir(parents=True, exist_ok=True, mode=mode | _entering(mode))
    temporary = target.with_name(f".{target.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_NOFOLLOW", 0), mode)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        os.chmod(temporary, mode)
        os.replace(temporary, target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _entering(mode: int) -> int:
    """The bits by which those who may read a file may enter its folder."""
    return sum(
        enter for read, enter in ((stat.S_IRUSR, 0o100), (stat.S_IRGRP, 0o010), (stat.S_IROTH, 0o001)) if mode & read
    )
