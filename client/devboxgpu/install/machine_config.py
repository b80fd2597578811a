"""The machine's configuration file: endpoint, project and tenant for everybody on this machine."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping

from devboxgpu.install.text_file import NotUnderstoodError, TextFile

HEADING = "# For everybody on this machine; each person's own file and the environment come before it."


def with_values(content: bytes | None, values: Mapping[str, str]) -> bytes:
    """The file with these values; comments and other keys stay. Raises NotUnderstoodError."""
    file = TextFile.read(content) if content else TextFile(HEADING + "\n")
    newline = file.newline()
    head, table, rest = _parted(file.text)
    for name, value in values.items():
        line = f"{name} = {_quoted(value)}"
        present = re.compile(rf"^[ \t]*{re.escape(name)}[ \t]*=[^\r\n]*", re.MULTILINE)
        if found := present.search(head):
            head = head[: found.start()] + line + head[found.end() :]
        else:
            head = (head if not head or head.endswith("\n") else head + newline) + line + newline
    written = head + table + rest
    _check(written, values)
    return file.with_text(written)


def _parted(text: str) -> tuple[str, str, str]:
    """What stands before the first table, its `[`, and the rest: keys of the top level stand before it."""
    found = re.search(r"^[ \t]*\[", text, re.MULTILINE)
    return (text[: found.start()], found.group(), text[found.end() :]) if found else (text, "", "")


def _quoted(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)  # a basic string of TOML is written as one of JSON


def _check(text: str, values: Mapping[str, str]) -> None:
    try:
        read = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise NotUnderstoodError(f"it is not TOML: {error}") from None
    if missing := [name for name, value in values.items() if read.get(name) != value]:
        raise NotUnderstoodError(f"{', '.join(missing)} could not be set without guessing")
