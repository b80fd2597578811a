"""Machines that an installation is tried on: any system, in a folder, with a VS Code that remembers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from devboxgpu.install import performing
from devboxgpu.install.catalogue import Wishes
from devboxgpu.install.disk import Disk
from devboxgpu.install.machine import Machine, Ran, System, WindowsFolders
from devboxgpu.install.steps import Part

USER = "Zoë van der Ünal"
"""Spaces and other letters, as in real names."""
ON_WINDOWS = "C:\\Users\\Zoë van der Ünal\\.local\\bin\\devboxgpu.exe"


class Crash(BaseException):
    """The process ends here: nothing of it runs any more."""


@dataclass
class FakePrograms:
    """Programs on the PATH; `code` keeps its extensions and can be made to fail."""

    there: set[str] = field(default_factory=set)
    extensions: dict[str, str] = field(default_factory=dict)
    fails: bool = False
    ran: list[tuple[tuple[str, ...], Path | None]] = field(default_factory=list)

    def find(self, name: str) -> str | None:
        name = name.removeprefix("/programs/")
        return f"/programs/{name}" if name in self.there else None

    def run(self, words: Sequence[str], *, folder: Path | None = None) -> Ran:
        if self.find(words[0]) is None:
            raise FileNotFoundError(2, "No such file or directory", words[0])
        if self.fails:
            return Ran(code=1, out="", error="Error: EPERM: operation not permitted\n")
        self.ran.append((tuple(words), folder))
        match words[1:]:
            case ["--list-extensions", "--show-versions"]:
                return Ran(code=0, out="".join(f"{n}@{v}\n" for n, v in self.extensions.items()), error="")
            case ["--install-extension", package, "--force"]:
                assert folder is not None
                assert (folder / package).is_file()
                self.extensions["devboxgpu.devboxgpu"] = "0.1.0"
            case ["--uninstall-extension", identity]:
                del self.extensions[identity]
        return Ran(code=0, out="", error="")


class CrashingDisk(Disk):
    """Ends the process before its n-th change, counted from 0; `after` ends it just behind that change."""

    def __init__(self, at: int, *, after: bool = False) -> None:
        self.at, self.after, self.changes = at, after, 0

    def _counted(self, change) -> None:
        if self.changes == self.at and not self.after:
            raise Crash
        change()
        self.changes += 1
        if self.changes == self.at + 1 and self.after:
            raise Crash

    def write(self, path: Path, content: bytes, mode: int | None = None) -> None:
        self._counted(lambda: super(CrashingDisk, self).write(path, content, mode))

    def remove(self, path: Path) -> None:
        self._counted(lambda: super(CrashingDisk, self).remove(path))

    def remove_folder(self, path: Path) -> None:
        self._counted(lambda: super(CrashingDisk, self).remove_folder(path))


class DiskWithReadOnly(Disk):
    """Refuses to write below one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, path: Path, content: bytes, mode: int | None = None) -> None:
        if path.is_relative_to(self.folder):
            raise PermissionError(13, "Permission denied", str(path))
        super().write(path, content, mode)


def a_machine(system: System, root: Path, *, programs: FakePrograms | None = None, **changes) -> Machine:
    """A machine whose person has a home with little in it, as on the first day."""
    mounted = root / "mnt" / "c" if system is System.WSL else root / "C"
    home = mounted / "Users" / USER if system is System.WINDOWS else root / "home" / USER
    windows = None
    if system in (System.WINDOWS, System.WSL):
        person = mounted / "Users" / USER
        windows = WindowsFolders(
            local=person / "AppData" / "Local",
            roaming=person / "AppData" / "Roaming",
            documents=person / "Documents",
            program_data=mounted / "ProgramData",
        )
        for folder in (windows.local, windows.roaming, windows.documents, windows.program_data):
            folder.mkdir(parents=True, exist_ok=True)
    user_data = home / ".local" / "share" / "devboxgpu"
    if system is System.WINDOWS and windows is not None:
        user_data = windows.local / "devboxgpu"
    user_data.parent.mkdir(parents=True, exist_ok=True)
    machine = Machine(
        system=system,
        command=(ON_WINDOWS,) if system is System.WINDOWS else (f"{home}/.local/bin/devboxgpu",),
        environ={"WSL_DISTRO_NAME": "Ubuntu-24.04"} if system is System.WSL else {},
        home=home,
        user_data=user_data,
        machine_data=root / "everybody" / "DevBoxGPU" if windows is None else windows.program_data / "DevBoxGPU",
        machine_config=(root / "etc/devboxgpu" if windows is None else windows.program_data / "DevBoxGPU")
        / "config.toml",
        windows=windows,
        programs=programs or usual_programs(system),
    )
    return replace(machine, **changes)


def usual_programs(system: System) -> FakePrograms:
    return FakePrograms({"code", "pwsh", "powershell"} if system is System.WINDOWS else {"code", "bash", "zsh", "fish"})


ALL_PARTS = {
    System.WINDOWS: (Part.TERMINAL, Part.VSCODE, Part.VSCODE_SETTINGS, Part.COMPLETION),
    System.WSL: (Part.TERMINAL, Part.VSCODE, Part.COMPLETION),
    System.LINUX: (Part.VSCODE, Part.VSCODE_SETTINGS, Part.COMPLETION),
    System.MACOS: (Part.VSCODE, Part.VSCODE_SETTINGS, Part.COMPLETION),
}


def wishes(*parts: Part, **changes) -> Wishes:
    return Wishes(parts=parts, completion_script=lambda shell: f"# completes devboxgpu in {shell}", **changes)


def install(machine: Machine, *parts: Part, **changes) -> int:
    return performing.install(machine, wishes(*parts, **changes), dry_run=False, yes=True)


def uninstall(machine: Machine, *parts: Part, **changes) -> int:
    return performing.uninstall(machine, wishes(*parts, **changes), dry_run=False, yes=True)


def tree(root: Path) -> dict[str, bytes | None]:
    """Every file with its content, and every folder."""
    return {
        str(path.relative_to(root)): None if path.is_dir() else path.read_bytes() for path in sorted(root.rglob("*"))
    }
