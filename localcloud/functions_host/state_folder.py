"""The folder in which a host keeps its state: one host at a time."""

import fcntl
import os
from pathlib import Path
from typing import TextIO

_LOCK = "functions_host.lock"


class StateUnusable(OSError):
    """The state folder cannot be used; the text says why, and what to do."""


def lock_state(folder: Path) -> TextIO:
    """Take the folder for this process; the system gives it back however the process ends. Raises StateUnusable."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        stream = (folder / _LOCK).open("a+", encoding="utf-8")
    except OSError as error:
        raise StateUnusable(f"the state folder {folder} cannot be used: {error}; name another with --state") from error
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        stream.seek(0)
        holder = stream.read().strip() or "unknown"
        stream.close()
        raise StateUnusable(
            f"the functions host with process id {holder} keeps its state in {folder}; "
            "stop it, or give this one a folder of its own with --state"
        ) from error
    stream.truncate(0)
    stream.write(str(os.getpid()))
    stream.flush()
    return stream
