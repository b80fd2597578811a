"""Files that a reader never sees half written, whatever moment the writer is killed at."""

from __future__ import annotations

import os
from pathlib import Path

FOR_EVERYONE = 0o644
FOR_THE_OWNER = 0o600


def write_whole(path: Path, content: str | bytes, *, mode: int = FOR_EVERYONE) -> None:
    """Replace the file's content in one step, making its folder where there is none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f"{path.name}.{os.getpid()}.new")
    unfinished.unlink(missing_ok=True)
    with open(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(content.encode() if isinstance(content, str) else content)
    unfinished.replace(path)
