"""Which files a folder that is taken along leaves behind: `.devboxgpuignore`, written as a `.gitignore` is."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

FILE_NAME = ".devboxgpuignore"
NEVER = frozenset([".git"])
"""Not by any rule: whoever writes to a repository's insides has its owner run programs at the next commit."""
DEFAULTS = (".hg/", ".svn/", "__pycache__/", ".venv/", "node_modules/", "*.from-session*")
"""Left behind unless the folder's file says otherwise, as `!.venv/`: made for this machine, or not by hand."""


@dataclass(frozen=True, slots=True)
class _Rule:
    pattern: re.Pattern[str]
    ignores: bool
    only_directories: bool


class IgnoreRules:
    def __init__(self, lines: Iterable[str] = ()) -> None:
        self._rules = [rule for line in (*DEFAULTS, *lines) if (rule := _rule(line)) is not None]

    @classmethod
    def of(cls, folder: str) -> IgnoreRules:
        """The rules of a folder: those of its file, where it has one, after the defaults. Raises OSError."""
        try:
            text = (Path(folder) / FILE_NAME).read_text("utf-8", "surrogateescape")
        except FileNotFoundError:
            return cls()
        return cls(text.splitlines())

    def ignores(self, name: str, *, is_directory: bool) -> bool:
        """Whether the entry itself is left behind; what is in a directory that is, is too. The last rule counts."""
        if name.rpartition("/")[2] in NEVER:
            return True
        for rule in reversed(self._rules):
            if (is_directory or not rule.only_directories) and rule.pattern.fullmatch(name):
                return rule.ignores
        return False


def matches(name: str, patterns: Iterable[str]) -> bool:
    """Whether one of these patterns, written as in a `.gitignore`, is for a file or for a directory that it is in."""
    rules = [rule for pattern in patterns if (rule := _rule(pattern)) is not None]
    parts = name.split("/")
    ways = ["/".join(parts[:count]) for count in range(1, len(parts) + 1)]
    return any(
        rule.pattern.fullmatch(way) for rule in rules for way in ways if way != name or not rule.only_directories
    )


def _rule(line: str) -> _Rule | None:
    text = line if line.endswith("\\ ") else line.rstrip(" ")
    if not text or text.startswith("#"):
        return None
    ignores = not text.startswith("!")
    text = text.removeprefix("!")
    only_directories = text.endswith("/")
    text = text.removesuffix("/")
    anchored = "/" in text
    text = text.removeprefix("/")
    if not text:
        return None
    return _Rule(re.compile(("" if anchored else "(?:.*/)?") + _expression(text), re.DOTALL), ignores, only_directories)


_PART = re.compile(r"\*\*/|/\*\*$|\*+|\?|\[[!^]?\]?[^\]]*\]|\\.|.", re.DOTALL)


def _expression(pattern: str) -> str:
    return "".join(_expression_of(part.group()) for part in _PART.finditer(pattern))


def _expression_of(sign: str) -> str:
    if sign == "**/":
        return "(?:.*/)?"
    if sign == "/**":
        return "/.*"
    if sign.startswith("*"):
        return "[^/]*"
    if sign == "?":
        return "[^/]"
    if sign.startswith("[") and len(sign) > 1:
        inside = sign[1:-1].replace("\\", "\\\\").replace("[", "\\[")
        return f"(?!/)[^{inside[1:]}]" if inside[0] in "!^" else f"(?!/)[{inside}]"
    return re.escape(sign[1] if sign.startswith("\\") and len(sign) > 1 else sign)
