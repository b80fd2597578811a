"""What a listing says is in a tree. One from the session is anybody's: every entry is looked at before it counts."""

from __future__ import annotations

import sys
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from devboxgpu.agent.file_errors import FileError
from devboxgpu.agent.safe_names import PART_SUFFIX, unsafe

FILE, DIRECTORY, LINK, OTHER = "file", "directory", "link", "other"
KINDS = frozenset([FILE, DIRECTORY, LINK, OTHER])
MOST_ENTRIES = 3_000_000
SAME_TIME_NS = 1000
"""File systems keep times to the nanosecond, or to a tenth of a microsecond."""
WINDOWS = sys.platform == "win32"
FOLDS_NAMES = sys.platform in {"win32", "darwin"}
"""Whether two names that differ in case only are one file here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    name: str
    """The way from the top of the tree, parts separated by `/`; "" is the top."""
    kind: str
    size: int = 0
    mode: int | None = None
    """None where the system that it is on has none (Windows)."""
    mtime_ns: int = 0
    target: str = ""

    def is_same_file(self, other: Entry | None) -> bool:
        """Whether size and time say that two files are the same."""
        return (
            other is not None
            and self.kind == other.kind == FILE
            and self.size == other.size
            and abs(self.mtime_ns - other.mtime_ns) <= SAME_TIME_NS
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """An entry that is not copied, and why."""

    name: str
    why: str


@dataclass(frozen=True, slots=True)
class Listing:
    entries: dict[str, Entry]
    """By name; a directory comes before what is in it."""
    troubles: list[Trouble]

    @property
    def top(self) -> Entry:
        return self.entries[""]


def listing(
    found: Iterable[Mapping[str, object]], *, for_windows: bool = WINDOWS, folds: bool = FOLDS_NAMES
) -> Listing:
    """The entries that may be copied to a system of that kind, and those that may not.

    Raises FileError where it is no listing: without a top, or without an end.
    """
    read = Listing({}, [])
    seen: set[str] = set()
    for data in found:
        name = str(data.get("name"))
        if name.endswith(PART_SUFFIX):
            continue
        key = unicodedata.normalize("NFC", name).casefold() if folds else name
        why = _why_not(name, data, read, for_windows=for_windows)
        if not why and key in seen:
            why = "another name differs from it in nothing that matters here"
        if why:
            read.troubles.append(Trouble(name=name, why=why))
            continue
        seen.add(key)
        read.entries[name] = _entry(name, data)
        if len(seen) + len(read.troubles) > MOST_ENTRIES:
            raise FileError("TooMany", f"a tree of more than {MOST_ENTRIES} files is not copied")
    if "" not in read.entries:
        raise FileError("BadAnswer", "a listing came without its top")
    return read


def _why_not(name: str, data: Mapping[str, object], read: Listing, *, for_windows: bool) -> str:
    if not isinstance(data.get("name"), str):
        return "is not copied: its name is no text"
    error = data.get("error")
    if isinstance(error, Mapping):
        return str(error.get("message"))
    if why := unsafe(name, windows=for_windows):
        return f"is not copied: its name {why}"
    parent = read.entries.get(name.rpartition("/")[0]) if name else None
    if name and (parent is None or parent.kind != DIRECTORY):
        return "is not copied: it is in no directory of the tree"
    if data.get("kind") not in KINDS or (not name and data.get("kind") == LINK):
        return "is not copied: it is of an unknown kind"
    return ""


def _entry(name: str, data: Mapping[str, object]) -> Entry:
    mode = data.get("mode")
    return Entry(
        name=name,
        kind=str(data.get("kind")),
        size=max(0, _whole(data.get("size"))),
        mode=None if WINDOWS or not isinstance(mode, int) else mode & 0o777,
        mtime_ns=min(max(0, _whole(data.get("mtime_ns"))), 2**63 - 1),
        target=str(data.get("target") or ""),
    )


def _whole(value: object) -> int:
    return value if isinstance(value, int) else 0
