"""The fragment that puts DevBoxGPU's profiles into Windows Terminal: one for each GPU type."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Sequence
from hashlib import sha1
from pathlib import Path
from uuid import UUID

from devboxgpu.wire import items_of, text_of

FRAGMENTS = Path("Microsoft", "Windows Terminal", "Fragments")
APP_FOLDER = "DevBoxGPU"
FRAGMENT = "devboxgpu.json"
ICON = "devboxgpu.png"
PROFILE = "DevBoxGPU Shell"
"""With the folder's name it makes the profile's GUID: neither may ever change, or people lose what they have set."""
TAB_COLOUR = "#2E7D32"
GPU_TYPE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,31}")
_IN_WSL = re.compile(r'"wsl\.exe" -d (?:"(?P<quoted>[^"]+)"|(?P<plain>\S+)) -- ')
_TERMINAL_NAMESPACE = UUID("f65ddb7e-706b-4499-8a50-40313caf510a")


def profile_guid(app: str, profile: str) -> str:
    """The GUID that Windows Terminal itself gives to a fragment's profile that names none."""
    return f"{{{_uuid5(_uuid5(_TERMINAL_NAMESPACE, app), profile)}}}"


def _uuid5(namespace: UUID, name: str) -> UUID:
    # uuid.uuid5 would take the name as UTF-8; Windows Terminal takes it as UTF-16LE.
    digest = sha1(namespace.bytes + name.encode("utf-16-le"), usedforsecurity=False).digest()
    return UUID(bytes=digest[:16], version=5)


def fragment(command: Sequence[str], gpu_types: Sequence[str], *, icon: str) -> bytes:
    """The fragment's file: UTF-8 without BOM. The first GPU type is the project's own, which needs no name."""
    wanted = [(PROFILE, [])] if not gpu_types else [(PROFILE, []), *_named(gpu_types[1:])]
    profiles = [_profile(name, [*command, "shell", *more], icon) for name, more in wanted]
    return (json.dumps({"profiles": profiles}, ensure_ascii=False, indent=4) + "\n").encode()


def _named(gpu_types: Sequence[str]) -> list[tuple[str, list[str]]]:
    return [(f"{PROFILE} ({gpu_type})", ["--gpu", gpu_type]) for gpu_type in gpu_types]


def _profile(name: str, words: Sequence[str], icon: str) -> dict[str, object]:
    return {
        "guid": profile_guid(APP_FOLDER, name),
        "name": name,
        "commandline": command_line(words),
        "icon": icon,
        "tabColor": TAB_COLOUR,
        "startingDirectory": "%USERPROFILE%",
        "closeOnExit": "automatic",
        "suppressApplicationTitle": False,
        "hidden": False,
    }


def command_line(words: Sequence[str]) -> str:
    """The words as Windows splits them again; the program always in quotes."""
    return " ".join([f'"{words[0]}"', *([subprocess.list2cmdline(words[1:])] if words[1:] else [])])


def gpu_types_in(content: bytes | None) -> list[str]:
    """The GPU types that a fragment of ours has profiles for; the project's own is an empty name."""
    found: list[str] = []
    for profile in _profiles_in(content):
        name = text_of(profile, "name") or ""
        if name == PROFILE:
            found.append("")
        elif (named := re.fullmatch(rf"{re.escape(PROFILE)} \((.+)\)", name)) and GPU_TYPE.fullmatch(named[1]):
            found.append(named[1])
    return found


def distribution_of(content: bytes | None) -> str | None:
    """The WSL distribution that a fragment's profiles start; empty for Windows itself, None where nothing is said."""
    lines = [line for profile in _profiles_in(content) if (line := text_of(profile, "commandline"))]
    if not lines:
        return None
    started = _IN_WSL.match(lines[0])
    return (started["quoted"] or started["plain"]) if started else ""


def _profiles_in(content: bytes | None) -> list[dict[str, object]]:
    try:
        wire = json.loads(content or b"{}")
    except ValueError:
        return []
    return [dict(item) for item in items_of(wire, "profiles")] if isinstance(wire, dict) else []
