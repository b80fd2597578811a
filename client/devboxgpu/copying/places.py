"""The two ends of a copy as a person writes them: paths of this machine, and SESSION:PATH or :PATH."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass

WINDOWS = sys.platform == "win32"
_IN_SESSION = re.compile(r"(?P<session>[A-Za-z0-9][A-Za-z0-9._-]*)?:(?P<path>.*)", re.DOTALL)


class PlaceError(Exception):
    """The words name no copy that can be done; the text says why and what to write."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    path: str
    in_session: bool = False
    session: str | None = None
    """Which one; None is the newest of mine."""

    @property
    def name(self) -> str:
        """What a copy of it is called; "" where it has no name of its own, as `.`, and its contents are meant."""
        path = self.path.replace("\\", "/") if WINDOWS and not self.in_session else self.path
        last = path.rstrip("/").rpartition("/")[2]
        return "" if last in {"", ".", "..", "~"} else last

    @property
    def must_be_directory(self) -> bool:
        return self.path.endswith("/") or (WINDOWS and not self.in_session and self.path.endswith("\\"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Copy:
    sources: tuple[Place, ...]
    to: Place

    @property
    def to_session(self) -> bool:
        return self.to.in_session

    @property
    def session(self) -> str | None:
        return self.to.session if self.to.in_session else self.sources[0].session


def place(text: str, *, windows: bool = WINDOWS) -> Place:
    """`s-1:data` and `:data` are in a session; `./a:b`, and `C:/data` on Windows, are not."""
    found = _IN_SESSION.fullmatch(text)
    if found is None or (windows and found["session"] is not None and len(found["session"]) == 1):
        return Place(path=text)
    return Place(path=found["path"] or ".", in_session=True, session=found["session"])


def copy_of(sources: Sequence[str], to: str) -> Copy:
    """Raises PlaceError unless exactly one side is in one session."""
    wanted = Copy(sources=tuple(place(source) for source in sources), to=place(to))
    if "" in (*sources, to):
        raise PlaceError("a path is empty: '.' is the current directory")
    from_session = {source.in_session for source in wanted.sources}
    if len(from_session) > 1 or len({source.session for source in wanted.sources}) > 1:
        raise PlaceError("all sources must be on the same side: on this machine, or in one session")
    if wanted.to.in_session in from_session:
        if wanted.to.in_session:
            raise PlaceError("both sides are in a session: copy from there to here, then from here to there")
        raise PlaceError(
            f"no side is in a session: write ':{os.path.basename(to) or 'PATH'}' for a path in your newest one, "
            "or SESSION:PATH"
        )
    return wanted
