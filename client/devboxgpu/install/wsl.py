"""Windows's folders as a WSL sees them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from devboxgpu.install.machine import WindowsFolders

_ON_PATH = re.compile(r"^(?P<local>/.*?/[a-z]/Users/[^/]+/AppData/Local)/")
NOBODYS = frozenset({"Public", "Default", "Default User", "All Users", "defaultuser0", "WsiAccount"})


def is_wsl(environ: Mapping[str, str], kernel: str) -> bool:
    return bool(environ.get("WSL_DISTRO_NAME")) or "microsoft" in kernel.lower()


def windows_side(environ: Mapping[str, str], *, mounts: Path = Path("/mnt")) -> WindowsFolders | None:
    """The person's folders on the Windows side; None where it cannot be told whose they are.

    WSL puts Windows's PATH behind its own, and the person's own folder is in it; else the only person on C: is meant.
    """
    local = _told(environ) or _only_person(mounts / "c" / "Users")
    if local is None:
        return None
    home, drive = local.parents[1], local.parents[3]
    return WindowsFolders(
        local=local,
        roaming=home / "AppData" / "Roaming",
        documents=home / "Documents",
        program_data=drive / "ProgramData",
    )


def _told(environ: Mapping[str, str]) -> Path | None:
    for entry in (environ.get("LOCALAPPDATA", "") + "/", *environ.get("PATH", "").split(":")):
        if (found := _ON_PATH.match(entry)) is not None:
            return Path(found["local"])
    return None


def _only_person(users: Path) -> Path | None:
    try:
        people = [
            entry for entry in users.iterdir() if entry.name not in NOBODYS and (entry / "AppData/Local").is_dir()
        ]
    except OSError:
        return None
    return people[0] / "AppData" / "Local" if len(people) == 1 else None
