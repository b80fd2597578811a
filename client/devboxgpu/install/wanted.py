"""What should be on the machine, as data: whole files, lines in files of others, extensions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from devboxgpu.install.steps import Part

Edit = Callable[[bytes], bytes]
"""Of a file's content; raises NotUnderstoodError where it would have to guess."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedFile:
    part: Part
    path: Path
    content: bytes
    ours_by_name: bool = True
    """Whether nobody else has a file there; else what stood there before comes back in the end."""
    mode: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedBlock:
    """Lines of ours in somebody's file."""

    part: Part
    path: Path
    insert: Edit
    remove: Edit
    holds: Callable[[bytes], bool]
    is_empty: Callable[[bytes], bool]
    new: bytes = b""
    """What the file is before the lines come in, where there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedExtension:
    part: Part
    program: str
    """VS Code's command, by its path."""
    identity: str
    version: str
    package: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """All of it, in the order in which it is put there."""

    things: tuple[WantedFile | WantedBlock | WantedExtension, ...]
    folders: tuple[Path, ...] = ()
    """Folders with a name of ours, in which nobody else keeps anything."""
    notes: tuple[str, ...] = ()
    """What is left out, and why."""
