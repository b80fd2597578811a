"""The folders of the installer itself, for one person or for the whole machine."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from devboxgpu.install.machine import Machine, System
from devboxgpu.install.windows_terminal import APP_FOLDER, FRAGMENTS


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    data: Path
    """May hold what others of our own keep, so it goes only when it is empty."""
    fragments: Path | None
    """Our folder among Windows Terminal's fragments; None where there is no Windows Terminal."""

    @property
    def folder(self) -> Path:
        return self.data / "install"

    @property
    def manifest(self) -> Path:
        return self.folder / "manifest.json"

    @property
    def completion(self) -> Path:
        return self.folder / "completion"

    @property
    def backups(self) -> Path:
        return self.folder / "backup"

    @property
    def kept(self) -> Path:
        """Versions of our files that somebody had edited; they outlive an uninstall."""
        return self.data / "kept"


def layout_of(machine: Machine, *, for_everybody: bool) -> Layout:
    windows = machine.windows
    if for_everybody:
        everybodys = windows.program_data if windows and machine.system is System.WINDOWS else None
        return Layout(data=machine.machine_data, fragments=everybodys / FRAGMENTS / APP_FOLDER if everybodys else None)
    return Layout(data=machine.user_data, fragments=windows.local / FRAGMENTS / APP_FOLDER if windows else None)
