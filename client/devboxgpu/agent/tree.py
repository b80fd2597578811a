"""A tree of files as it lies on this machine's disk: told entry by entry, and made entry by entry. Blocking.

An entry is a JSON object: `name` (safe_names.py), `kind` (file, directory, link, other), `size`, `mode`, `mtime_ns`,
for a link its `target`; or `name` and `error` where it cannot be read.
"""

from __future__ import annotations

import contextlib
import os
import stat
from typing import Any, Callable, Dict, Iterator

from .file_errors import FileError
from .incoming import dress, facts
from .safe_names import PART_SUFFIX, unsafe

Entry = Dict[str, Any]


def resolved(path: str, name: str = "", *, start: str) -> str:
    """The place of a tree's entry: `path` is absolute, begins with `~`, or is relative to `start`."""
    if "\0" in path:
        raise FileError("NotFound", "a path has a NUL in it")
    if why := unsafe(name, windows=os.name == "nt"):
        raise FileError("UnsafeName", f"{name}: the name {why}")
    top = os.path.join(start, os.path.expanduser(path))
    return os.path.join(top, *name.split("/")) if name else top


def _everything(_name: str, _is_directory: bool) -> bool:
    return False


def walk(top: str, *, deep: bool = True, leaves: Callable[[str, bool], bool] = _everything) -> Iterator[Entry]:
    """The top itself (a link to it is followed), then everything below it, a directory before what is in it.

    `leaves` says, by name and whether it is a directory, what is left out with all that is in it. No other link is
    followed. Raises FileError where the top cannot be read.
    """
    try:
        status = os.stat(top)
    except OSError as error:
        raise FileError.of(top, error) from error
    yield _entry("", status, top)
    folders = [("", top)] if deep and stat.S_ISDIR(status.st_mode) else []
    while folders:
        name, path = folders.pop()
        try:
            found = sorted(os.listdir(path))
        except OSError as error:
            yield {"name": name, **FileError.of(path, error).result()}
            continue
        below = []
        for own in found:
            if own.endswith(PART_SUFFIX):
                continue
            entry = _looked_at(f"{name}/{own}" if name else own, os.path.join(path, own))
            is_directory = entry.get("kind") == "directory"
            if leaves(entry["name"], is_directory):
                continue
            if is_directory:
                below.append((entry["name"], os.path.join(path, own)))
            yield entry
        folders += reversed(below)


def _looked_at(name: str, path: str) -> Entry:
    try:
        return _entry(name, os.lstat(path), path)
    except OSError as error:
        return {"name": name, **FileError.of(path, error).result()}


def _entry(name: str, status: os.stat_result, path: str) -> Entry:
    if stat.S_ISLNK(status.st_mode):
        return {"name": name, "kind": "link", "target": os.readlink(path), **facts(status)}
    kinds = {stat.S_IFREG: "file", stat.S_IFDIR: "directory"}
    return {"name": name, "kind": kinds.get(stat.S_IFMT(status.st_mode), "other"), **facts(status)}


def make(path: str, entry: Entry) -> None:
    """Makes a directory, or a link; one that is there already is made right. Raises FileError."""
    try:
        if entry.get("kind") == "directory":
            with contextlib.suppress(FileExistsError):
                os.mkdir(path)
            if not os.path.isdir(path):
                raise FileError("NotDirectory", f"{path} is there, and is no directory")
            dress(path, entry.get("mode"), entry.get("mtime_ns"))
        elif entry.get("kind") == "link":
            _make_link(path, str(entry.get("target")))
        else:
            raise FileError("FileFailed", f"{path}: only directories and links are made")
    except OSError as error:
        raise FileError.of(path, error) from error


def _make_link(path: str, target: str) -> None:
    if os.path.islink(path) and os.readlink(path) == target:
        return
    beside = f"{path}{PART_SUFFIX}"
    with contextlib.suppress(FileNotFoundError):
        os.unlink(beside)
    os.symlink(target, beside)
    try:
        os.replace(beside, path)
    except OSError:
        os.unlink(beside)
        raise
