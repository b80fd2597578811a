"""Files as the installer reads and writes them: whole, at once, and never through a link by accident."""

from __future__ import annotations

import contextlib
import os
from functools import partial
from pathlib import Path

UNFINISHED = ".devboxgpu-new"
"""What a file is called until it is complete; no program that reads a folder of ours takes it for one of its files."""

PRIVATE = 0o600
FOR_ALL = 0o644
READ_BY_ALL = 0o004


class Disk:
    """The real one. Raises OSError with the path in it."""

    def read(self, path: Path) -> bytes | None:
        """The content; None only where there is no such file."""
        try:
            return path.read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None

    def is_folder(self, path: Path) -> bool:
        return path.is_dir()

    def names_in(self, path: Path) -> list[str]:
        """The names in a folder; none where there is no such folder."""
        try:
            return sorted(entry.name for entry in path.iterdir())
        except (FileNotFoundError, NotADirectoryError):
            return []

    def write(self, path: Path, content: bytes, mode: int | None = None) -> None:
        """Puts the whole content there, or nothing. A link stays a link, and a file keeps its permissions.

        A new file gets `mode`, whatever the umask is; without one, what the umask leaves.
        """
        target = path.resolve() if path.is_symlink() else path
        _make_folders(target.parent, for_all=bool(mode and mode & READ_BY_ALL))
        if target.exists():
            mode = target.stat().st_mode & 0o7777
        unfinished = unfinished_name(target)
        unfinished.unlink(missing_ok=True)
        try:
            with open(unfinished, "wb", opener=partial(os.open, mode=0o666 if mode is None else 0o600)) as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            if mode is not None:
                unfinished.chmod(mode)
            unfinished.replace(target)
        except OSError:
            with contextlib.suppress(OSError):
                unfinished.unlink(missing_ok=True)
            raise

    def remove(self, path: Path) -> None:
        """Takes the file away; one that has gone already is fine."""
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            path.unlink()

    def remove_folder(self, path: Path) -> None:
        """Takes the folder away if it is empty; with something in it, it is somebody's and stays."""
        if path.is_dir() and not path.is_symlink() and not any(path.iterdir()):
            path.rmdir()


def _make_folders(folder: Path, *, for_all: bool) -> None:
    if folder.is_dir():
        return
    _make_folders(folder.parent, for_all=for_all)
    folder.mkdir(exist_ok=True)
    if for_all:
        folder.chmod(0o755)


def unfinished_name(path: Path) -> Path:
    return path.with_name(f".{path.name}{UNFINISHED}")
