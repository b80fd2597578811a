"""The real machine."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

from devboxgpu.install.known_folders import ask_windows, windows_folders
from devboxgpu.install.machine import Machine, RealPrograms, System, WindowsFolders
from devboxgpu.install.wsl import is_wsl, windows_side


def this_machine() -> Machine:
    import platformdirs

    from devboxgpu.config_files import machine_config_file

    environ = dict(os.environ)
    system, home = _system(environ), Path.home()
    windows = _windows(system, environ, home)
    return Machine(
        system=system,
        command=own_command(sys.argv[0], sys.executable, environ),
        environ=environ,
        home=home,
        user_data=platformdirs.user_data_path("devboxgpu", appauthor=False),
        machine_data=_machine_data(system, windows),
        machine_config=machine_config_file(),
        windows=windows,
        is_administrator=_is_administrator(),
        programs=RealPrograms(environ),
    )


def own_command(started_as: str, python: str, environ: Mapping[str, str]) -> tuple[str, ...]:
    """How this command is started by absolute paths, from wherever a terminal stands."""
    name = "devboxgpu.exe" if sys.platform == "win32" else "devboxgpu"
    beside = Path(python).parent / name
    for candidate in (started_as, str(beside), shutil.which(name, path=environ.get("PATH"))):
        if candidate and Path(candidate).stem == "devboxgpu" and Path(candidate).is_file():
            return (os.path.abspath(candidate),)
        # On Windows the entry's own name comes without its ending.
        if candidate and Path(candidate).name == "devboxgpu" and Path(f"{candidate}.exe").is_file():
            return (os.path.abspath(f"{candidate}.exe"),)
    return (python, "-m", "devboxgpu")


def _system(environ: Mapping[str, str]) -> System:
    if sys.platform == "win32":
        return System.WINDOWS
    if sys.platform == "darwin":
        return System.MACOS
    return System.WSL if is_wsl(environ, platform.release()) else System.LINUX


def _windows(system: System, environ: Mapping[str, str], home: Path) -> WindowsFolders | None:
    match system:
        case System.WINDOWS:
            return windows_folders(ask_windows, environ, home)
        case System.WSL:
            return windows_side(environ)
        case _:
            return None


def _machine_data(system: System, windows: WindowsFolders | None) -> Path:
    if system is System.WINDOWS and windows is not None:
        return windows.program_data / "DevBoxGPU"
    if system is System.MACOS:
        return Path("/Library/Application Support/DevBoxGPU")
    return Path("/var/lib/devboxgpu")


def _is_administrator() -> bool:
    if sys.platform == "win32":
        import ctypes

        return bool(ctypes.windll.shell32.IsUserAnAdmin())
    return os.geteuid() == 0
