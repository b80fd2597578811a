"""One entry of ours in VS Code's settings, between two comments; every other byte of the file stays as it is."""

from __future__ import annotations

import json
import re

from devboxgpu.install.jsonc import Member, after_skipped, parse
from devboxgpu.install.text_file import NotUnderstoodError, TextFile

BEGIN = "/* devboxgpu install: begin */"
END = "/* devboxgpu install: end */"
_BLOCK = re.compile(rf"\r?\n[ \t]*{re.escape(BEGIN)}.*?{re.escape(END)}", re.DOTALL)
EMPTY_FILE = b"{\n}\n"
INDENT = "    "


def with_entry(content: bytes, setting: str, name: str, value: object) -> bytes:
    """The settings with `name` in the object `setting`, made where it is not there.

    Raises NotUnderstoodError where the file cannot be read, or where somebody else's entry has that name.
    """
    file = TextFile.read(content if content.strip() else EMPTY_FILE)
    text = _without_block(file.text)
    root = parse(text)
    _check_object(root, "the file")
    newline = file.newline()
    holder = root.members.get(setting)
    entry = f"{json.dumps(name, ensure_ascii=False)}: {_written(value, newline, INDENT)}"
    if holder is None:
        inside = f"{newline}{INDENT * 2}".join([f"{json.dumps(setting)}: {{", entry])
        return file.with_text(_inserted(text, root, f"{inside}{newline}{INDENT}}}", newline, INDENT))
    _check_object(holder, f"'{setting}'")
    if name in holder.members:
        if holder.members[name].value == value:
            return content
        raise NotUnderstoodError(f"'{setting}' already has an entry '{name}' that was not written by this command")
    return file.with_text(_inserted(text, holder, entry, newline, INDENT * 2))


def without_entry(content: bytes) -> bytes:
    """The settings without our entry."""
    file = TextFile.read(content)
    if BEGIN not in file.text and END not in file.text:
        return content
    text = _without_block(file.text)
    parse(text)
    return file.with_text(text)


def has_entry(content: bytes) -> bool:
    text = TextFile.read(content).text
    return BEGIN in text or END in text


def is_empty(content: bytes) -> bool:
    """Whether nothing is said there: an object without members and without comments."""
    return not content.strip() or content.split() == [b"{", b"}"] or content.strip() == b"{}"


def _check_object(member: Member, what: str) -> None:
    if not isinstance(member.value, dict):
        raise NotUnderstoodError(f"{what} is not an object")


def _written(value: object, newline: str, indent: str) -> str:
    return json.dumps(value, ensure_ascii=False, indent=len(INDENT)).replace("\n", newline + indent * 2)


def _inserted(text: str, holder: Member, entry: str, newline: str, indent: str) -> str:
    at = holder.start + 1
    comma = "," if holder.members else ""
    block = f"{newline}{indent}".join(["", BEGIN, f"{entry}{comma}", END])
    return text[:at] + block + text[at:]


def _without_block(text: str) -> str:
    if BEGIN not in text and END not in text:
        return text
    found = _BLOCK.search(text)
    if found is None or text.count(BEGIN) != 1 or text.count(END) != 1:
        raise NotUnderstoodError(
            f"what stands between '{BEGIN}' and '{END}' is no longer as it was written: take it out by hand"
        )
    before, after = text[: found.start()], text[found.end() :]
    # Whoever wrote another entry behind ours has put the comma that divides them there.
    comma = after_skipped(after, 0)
    if after[comma : comma + 1] == "," and before.rstrip().endswith("{"):
        after = after[:comma] + after[comma + 1 :]
    return before + after
