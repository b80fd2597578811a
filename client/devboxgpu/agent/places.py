"""Where the agent's things lie: beside the file that it is run from, in a directory that is its user's alone."""

from __future__ import annotations

import os
import re
import stat
from typing import NamedTuple

_FILE = re.compile(r"agent-([0-9a-f]{16})\.pyz")
_PRIVATE = 0o700


class UnsafeDirectoryError(Exception):
    """The directory is not the user's alone: whoever else can write there could take the terminal over."""


class Places(NamedTuple):
    directory: str
    hash: str

    @property
    def socket(self) -> str:
        return os.path.join(self.directory, f"agent-{self.hash}.sock")

    @property
    def lock(self) -> str:
        return os.path.join(self.directory, f"agent-{self.hash}.lock")

    @property
    def log(self) -> str:
        return os.path.join(self.directory, f"agent-{self.hash}.log")


def beside(path: str) -> Places:
    """For the agent's file. Raises UnsafeDirectoryError."""
    directory, name = os.path.split(os.path.abspath(path))
    match = _FILE.fullmatch(name)
    _check(directory)
    return Places(directory, match.group(1) if match else "unnamed")


def _check(directory: str) -> None:
    found = os.lstat(directory)
    if not stat.S_ISDIR(found.st_mode):
        raise UnsafeDirectoryError(f"{directory} is not a directory (a link to one will not do)")
    if found.st_uid != os.getuid():
        raise UnsafeDirectoryError(f"{directory} belongs to user {found.st_uid}, not to {os.getuid()}")
    if stat.S_IMODE(found.st_mode) & ~_PRIVATE:
        raise UnsafeDirectoryError(f"{directory} is open to others: its mode is {stat.S_IMODE(found.st_mode):o}")
