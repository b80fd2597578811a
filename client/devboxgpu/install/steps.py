"""What an installation does, as data: it is shown, agreed to and taken, in this order and nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path


class Part(StrEnum):
    """What can be installed apart from the rest; the words of --only."""

    TERMINAL = "terminal"
    VSCODE = "vscode"
    VSCODE_SETTINGS = "vscode-settings"
    COMPLETION = "completion"
    CONFIG = "config"


TITLES = {
    Part.TERMINAL: "Windows Terminal",
    Part.VSCODE: "VS Code extension",
    Part.VSCODE_SETTINGS: "VS Code settings",
    Part.COMPLETION: "Shell completion",
    Part.CONFIG: "Configuration of the machine",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteFile:
    part: Part
    path: Path
    after: bytes
    before: bytes | None = None
    mode: int | None = None
    """The permissions of a new file; None: what the umask leaves."""
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveFile:
    part: Part
    path: Path
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveFolder:
    """Only if it is empty by then."""

    part: Part
    path: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class RunProgram:
    part: Part
    words: tuple[str, ...]
    folder: Path | None = None
    remedy: str = ""
    """What a person can do where it fails."""


Step = WriteFile | RemoveFile | RemoveFolder | RunProgram
