"""The machine as the installer sees it: which system, which folders, which programs, who is asking."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from devboxgpu.install.disk import Disk

PROGRAM_PATIENCE_S = 120.0


class System(StrEnum):
    WINDOWS = "Windows"
    WSL = "WSL"
    LINUX = "Linux"
    MACOS = "macOS"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    code: int
    out: str
    error: str


class Programs(Protocol):
    """Other programs of the machine."""

    def find(self, name: str) -> str | None:
        """Where the program is; None where it is not on the PATH."""

    def run(self, words: Sequence[str], *, folder: Path | None = None) -> Ran:
        """Runs it to its end without a shell; raises OSError where it cannot be started or does not end."""


class RealPrograms:
    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = dict(environ)

    def find(self, name: str) -> str | None:
        import shutil

        return shutil.which(name, path=self._environ.get("PATH"))

    def run(self, words: Sequence[str], *, folder: Path | None = None) -> Ran:
        try:
            done = subprocess.run(
                list(words),
                cwd=folder,
                env=self._environ,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                check=False,
                timeout=PROGRAM_PATIENCE_S,
            )
        except subprocess.TimeoutExpired:
            raise TimeoutError(f"{words[0]} did not end within {PROGRAM_PATIENCE_S:.0f} s") from None
        return Ran(
            code=done.returncode,
            out=done.stdout.decode("utf-8", "replace"),
            error=done.stderr.decode("utf-8", "replace"),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowsFolders:
    """Windows's own folders of the person and of the machine; from WSL, as they are mounted."""

    local: Path
    """%LOCALAPPDATA%"""
    roaming: Path
    """%APPDATA%"""
    documents: Path
    program_data: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    system: System
    command: tuple[str, ...]
    """How this command is started, by absolute paths: one word, or Python's and `-m devboxgpu`."""
    environ: Mapping[str, str]
    home: Path
    user_data: Path
    """Where this command keeps what is the person's."""
    machine_data: Path
    """Where it keeps what is the machine's."""
    machine_config: Path
    windows: WindowsFolders | None = None
    """None on Linux and macOS, and in a WSL whose Windows side was not found."""
    is_administrator: bool = False
    programs: Programs
    disk: Disk = field(default_factory=Disk)

    @property
    def distribution(self) -> str:
        """The WSL distribution that this is; empty elsewhere, and where WSL does not say."""
        return self.environ.get("WSL_DISTRO_NAME", "") if self.system is System.WSL else ""

    def config_home(self) -> Path:
        return Path(self.environ.get("XDG_CONFIG_HOME") or self.home / ".config")

    def data_home(self) -> Path:
        return Path(self.environ.get("XDG_DATA_HOME") or self.home / ".local" / "share")

    def windows_path(self, path: Path) -> str:
        """The path as a Windows program wants it: `/mnt/c/Users/a` is under `C:` there."""
        if self.system is not System.WSL or self.windows is None:
            return str(path)
        # .../c/Users/NAME/AppData/Local: the drive is the folder that holds Users.
        drive = self.windows.local.parents[3]
        return f"{drive.name.upper()}:\\" + "\\".join(path.relative_to(drive).parts)
