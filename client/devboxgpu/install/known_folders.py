"""Windows's own folders, from Windows rather than from guesses at the environment."""

from __future__ import annotations

import sys
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from devboxgpu.install.machine import WindowsFolders

LOCAL = "F1B32785-6FBA-4FCF-9D55-7B8E7F157091"
ROAMING = "3EB685DB-65F9-4CF6-A03A-E3EF65729F3D"
DOCUMENTS = "FDD39AD0-238F-46AF-ADB4-6C85480369C7"
PROGRAM_DATA = "62AB5D82-FDC1-4DC3-A9DD-070D1D495D97"
KnownFolder = Callable[[str], str | None]
"""The path of a folder by its id; None where Windows does not say."""


def windows_folders(known: KnownFolder, environ: Mapping[str, str], home: Path) -> WindowsFolders:
    """What Windows says; where it says nothing, the environment; at last, what is usual."""

    def folder(identity: str, variable: str, usual: Path) -> Path:
        return Path(known(identity) or environ.get(variable) or usual)

    return WindowsFolders(
        local=folder(LOCAL, "LOCALAPPDATA", home / "AppData" / "Local"),
        roaming=folder(ROAMING, "APPDATA", home / "AppData" / "Roaming"),
        documents=folder(DOCUMENTS, "", home / "Documents"),
        program_data=folder(PROGRAM_DATA, "ProgramData", Path("C:/ProgramData")),
    )


def ask_windows(identity: str, *, libraries: Any = None) -> str | None:
    """SHGetKnownFolderPath; `libraries` stands for ctypes.windll."""
    import ctypes

    if libraries is None:
        if sys.platform != "win32":
            return None
        libraries = ctypes.windll
    asked = (ctypes.c_ubyte * 16).from_buffer_copy(uuid.UUID(identity).bytes_le)
    answer = ctypes.c_void_p()
    failed = libraries.shell32.SHGetKnownFolderPath(ctypes.byref(asked), 0, None, ctypes.byref(answer))
    try:
        return None if failed or not answer.value else ctypes.wstring_at(answer.value)
    finally:
        libraries.ole32.CoTaskMemFree(answer)
