"""Lines of ours in a person's start-up file, between two markers; everything around them stays byte for byte."""

from __future__ import annotations

import re
from collections.abc import Sequence

from devboxgpu.install.text_file import NotUnderstoodError, TextFile

BEGIN = "# >>> devboxgpu install >>>"
END = "# <<< devboxgpu install <<<"
_BLOCK = re.compile(rf"^{re.escape(BEGIN)}\r?\n(?:.*?\r?\n)??{re.escape(END)}(?:\r?\n|\Z)", re.DOTALL | re.MULTILINE)


def with_lines(content: bytes, lines: Sequence[str]) -> bytes:
    """The content with these lines as ours: in the place of those that are there, or else at its end."""
    file = TextFile.read(content)
    found = _found(file.text)
    newline = _newline(found.group()) if found else file.newline()
    block = newline.join([BEGIN, *lines, END])
    if found:
        ended = newline if found.group().endswith("\n") else ""
        return file.with_text(file.text[: found.start()] + block + ended + file.text[found.end() :])
    # A last line without an end gets one before ours; ours then has none, so that taking it out gives back every byte.
    unended = bool(file.text) and not file.text.endswith("\n")
    return file.with_text(file.text + (newline + block if unended else block + newline))


def without_lines(content: bytes) -> bytes:
    """The content as it is without our lines."""
    file = TextFile.read(content)
    found = _found(file.text)
    if not found:
        return content
    before, after = file.text[: found.start()], file.text[found.end() :]
    if not after and not found.group().endswith("\n"):
        before = before.removesuffix(_newline(found.group()))
    return file.with_text(before + after)


def _newline(block: str) -> str:
    return "\r\n" if block.startswith(f"{BEGIN}\r\n") else "\n"


def has_lines(content: bytes) -> bool:
    return _has_either(TextFile.read(content).text)


def _found(text: str) -> re.Match[str] | None:
    if not _has_either(text):
        return None
    found = _BLOCK.search(text)
    if found is None or text.count(BEGIN) != 1 or text.count(END) != 1:
        raise NotUnderstoodError(
            f"the lines between '{BEGIN}' and '{END}' are no longer as they were written: take them out by hand"
        )
    return found


def _has_either(text: str) -> bool:
    return BEGIN in text or END in text
