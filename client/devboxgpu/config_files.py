"""The files that configure the command: the user's, the machine's, and a project's in the folders around."""

from __future__ import annotations

import os
import sys
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from devboxgpu.config_keys import KEYS, checked
from devboxgpu.errors import ConfigurationError

PROJECT_FILE = ".devboxgpu.toml"


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Where the files are; they need not exist."""

    project: Path | None
    """The nearest project file, from the current folder upwards; None where there is none."""
    user: Path
    machine: Path


def places() -> Places:
    return Places(project=find_project_file(Path.cwd()), user=user_config_file(), machine=machine_config_file())


def user_config_file() -> Path:
    import platformdirs

    return platformdirs.user_config_path("devboxgpu", appauthor=False, roaming=True) / "config.toml"


def machine_config_file() -> Path:
    """What an administrator sets for everybody on this machine."""
    if sys.platform == "win32":
        import platformdirs

        return platformdirs.site_config_path("DevBoxGPU", appauthor=False) / "config.toml"
    if sys.platform == "darwin":
        return Path("/Library/Application Support/DevBoxGPU/config.toml")
    return Path("/etc/devboxgpu/config.toml")


def find_project_file(start: Path) -> Path | None:
    for folder in (start, *start.parents):
        if (file := folder / PROJECT_FILE).is_file():
            return file
    return None


def read_file(file: Path) -> dict[str, str]:
    """The values in the user's or the machine's file; none where there is no file.

    Raises ConfigurationError naming the file and what is wrong: a file that cannot be read is not an empty one.
    """
    data = _parsed(file)
    if unknown := sorted(set(data) - set(KEYS)):
        raise ConfigurationError(f"{file}: unknown key {_quoted(unknown)}. Known keys: {', '.join(KEYS)}")
    return {name: checked(KEYS[name], value, where=str(file)) for name, value in data.items()}


def read_project_file(file: Path) -> dict[str, str]:
    """The values in a project file: only what cannot send a token anywhere.

    Raises ConfigurationError where it says more, or may have been put there by somebody else.
    """
    _refuse_strangers(file)
    data = _parsed(file)
    allowed = [key.name for key in KEYS.values() if key.in_project_file]
    if unknown := sorted(set(data) - set(allowed)):
        known = sorted(set(unknown) & set(KEYS))
        why = " decides who gets your token, so it belongs into your own file (devboxgpu config set)" if known else ""
        raise ConfigurationError(
            f"{file}: {_quoted(known or unknown)}{why or ' is no key'}. Keys in such a file: {', '.join(allowed)}"
        )
    return {name: checked(KEYS[name], value, where=str(file)) for name, value in data.items()}


def _refuse_strangers(file: Path) -> None:
    """In a folder that many may write to, a file of another user would choose our image and project."""
    if sys.platform == "win32":
        return
    owner, me = file.stat().st_uid, os.geteuid()
    if owner not in {me, 0} and me != 0:
        raise ConfigurationError(
            f"{file} belongs to another user (id {owner}) and is not read: take it away, or copy it"
        )


def _parsed(file: Path) -> Mapping[str, object]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{file} cannot be read: {error}") from None


def _quoted(names: list[str]) -> str:
    return ", ".join(f"'{name}'" for name in names)
