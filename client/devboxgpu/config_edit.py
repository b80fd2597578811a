"""Changing a configuration file: its comments stay, and it is never seen half written."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from devboxgpu.errors import ConfigurationError
from devboxgpu.whole_file import PRIVATE, write_whole

if TYPE_CHECKING:
    from tomlkit import TOMLDocument


def set_value(file: Path, key: str, value: str, *, mode: int = PRIVATE) -> None:
    """Writes the key into the file, made with its folder where it is not there. Raises ConfigurationError."""
    document = _read(file)
    document[key] = value
    _write(file, document, mode)


def unset_value(file: Path, key: str, *, mode: int = PRIVATE) -> bool:
    """Whether the file had the key. Raises ConfigurationError."""
    document = _read(file)
    if key not in document:
        return False
    del document[key]
    _write(file, document, mode)
    return True


def _read(file: Path) -> TOMLDocument:
    import tomlkit
    from tomlkit.exceptions import TOMLKitError

    try:
        return tomlkit.parse(file.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        return tomlkit.document()
    except (OSError, ValueError, TOMLKitError) as error:
        raise ConfigurationError(f"{file} cannot be read: {error}. Mend it by hand, or take it away") from None


def _write(file: Path, document: TOMLDocument, mode: int) -> None:
    import tomlkit

    try:
        write_whole(file, tomlkit.dumps(document).encode(), mode=mode)
    except OSError as error:
        raise ConfigurationError(f"{file} cannot be written: {error.strerror or error}") from None
