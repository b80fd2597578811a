"""Changing a configuration file: its comments stay, and it is never seen half written."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from devboxgpu.errors import ConfigurationError

if TYPE_CHECKING:
    from tomlkit import TOMLDocument

PRIVATE = 0o600


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


def write_whole(file: Path, data: bytes, *, mode: int = PRIVATE) -> None:
    """All of it under that name, or what was there before; a link keeps pointing where it points. Raises OSError."""
    target = Path(os.path.realpath(file))
    target.parent.mkdir(parents=True, exist_ok=True, mode=mode | _entering(mode))
    temporary = target.with_name(f".{target.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_NOFOLLOW", 0), mode)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        os.chmod(temporary, mode)
        os.replace(temporary, target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _entering(mode: int) -> int:
    """The bits by which those who may read a file may enter its folder."""
    return sum(
        enter for read, enter in ((stat.S_IRUSR, 0o100), (stat.S_IRGRP, 0o010), (stat.S_IROTH, 0o001)) if mode & read
    )
