"""The end of a copy that is on this machine: what lies below one directory or is one file. Blocking."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable

from devboxgpu.agent.file_errors import FileError
from devboxgpu.agent.incoming import dress, umask
from devboxgpu.agent.tree import make, walk
from devboxgpu.copying.entries import DIRECTORY, FILE, LINK, OTHER, Entry, Listing, listing

ALL = 0o777


class LocalTree:
    """What is written goes below `top` and nowhere else: no link on the way there is followed."""

    def __init__(self, top: str) -> None:
        self.top = top

    def listing(self, leaves: Callable[[str, bool], bool] = lambda _name, _is_directory: False) -> Listing:
        """Everything that is there, as the other end will call it, but for what `leaves` says. Raises FileError."""
        return listing(walk(self.top, leaves=leaves), for_windows=False, folds=False)

    def there(self, found: Listing) -> dict[str, Entry]:
        """What is here now of what the other end has, by name. What cannot be looked at counts as absent."""
        here = {}
        for name in found.entries:
            try:
                status = os.lstat(self.path(name))
            except OSError:
                continue
            kind = {stat.S_IFREG: FILE, stat.S_IFDIR: DIRECTORY, stat.S_IFLNK: LINK}.get(
                stat.S_IFMT(status.st_mode), OTHER
            )
            here[name] = Entry(name=name, kind=kind, size=status.st_size, mtime_ns=status.st_mtime_ns)
        return here

    def path(self, name: str) -> str:
        return os.path.join(self.top, *name.split("/")) if name else self.top

    def place(self, name: str) -> str:
        """Where something of that name may be written. Raises FileError where a link leads elsewhere on the way."""
        parts = name.split("/")[:-1]
        for count in range(1, len(parts) + 1):
            folder = os.path.join(self.top, *parts[:count])
            if os.path.islink(folder) or not os.path.isdir(folder):
                raise FileError("NotDirectory", f"{folder} is no directory of this tree: nothing is written through it")
        return self.path(name)

    def make(self, entry: Entry) -> None:
        """Makes a directory, so that it can be written to, or a link. Raises FileError."""
        path = self.place(entry.name) if entry.name else self.top
        if entry.kind == DIRECTORY and entry.name and os.path.islink(path):
            raise FileError("NotDirectory", f"{path} is a link here, and is not followed")
        make(path, {"kind": entry.kind, "target": entry.target})

    def dress(self, entry: Entry) -> None:
        """Gives a directory its mode and time, when everything is in it."""
        path = self.place(entry.name) if entry.name else self.top
        try:
            dress(path, own_mode(entry.mode), entry.mtime_ns or None)
        except OSError as error:
            raise FileError.of(path, error) from error


def own_mode(mode: int | None) -> int | None:
    """The mode that a file from elsewhere gets here: as new files do, without what the umask takes away."""
    return None if mode is None else mode & ALL & ~umask()
