"""Which local cloud keeps which port: two that start at once, or one that is down just now, lose none to another."""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path

TIME_TO_WRITE_PORTS_S = 60.0
"""How long a claim holds whose cloud has not written its ports down yet."""


def claim(port: int, ports_file: Path) -> bool:
    """Claim the port for the cloud that keeps its ports in this file; False where another one keeps it."""
    path = _folder() / str(port)
    if path.exists() and not _is_kept(path):
        path.unlink(missing_ok=True)
    try:
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    except FileExistsError:
        return False
    with os.fdopen(descriptor, "w") as file:
        file.write(str(ports_file.absolute()))
    return True


def _is_kept(path: Path) -> bool:
    try:
        written_at, owner = path.stat().st_mtime, path.read_text()
    except FileNotFoundError:
        return False
    return time.time() - written_at < TIME_TO_WRITE_PORTS_S or (owner != "" and Path(owner).exists())


def _folder() -> Path:
    folder = Path(tempfile.gettempdir()) / f"devboxgpu-ports-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder
