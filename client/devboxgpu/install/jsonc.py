"""JSON with comments and trailing commas, as VS Code keeps its settings: read only to find a place in the text."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field

from devboxgpu.install.text_file import NotUnderstoodError

_SKIPPED = re.compile(r"(?:[ \t\r\n]+|//[^\r\n]*|/\*.*?\*/)*", re.DOTALL)
_STRING = re.compile(r'"(?:[^"\\\x00-\x1f]|\\.)*"')
_SCALAR = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null")
DEEPEST = 100


@dataclass(slots=True)
class Member:
    value: object
    """A dict, a list, or a scalar, read."""
    start: int
    end: int
    members: dict[str, Member] = field(default_factory=dict)
    """Of an object: what is in it, with its place."""


def parse(text: str) -> Member:
    """The value of the whole text, with places. Raises NotUnderstoodError naming the line."""
    reader = _Reader(text)
    member = reader.value(reader.skip(0), 0)
    if reader.skip(member.end) != len(text):
        raise reader.unexpected(reader.skip(member.end), "the end")
    return member


def after_skipped(text: str, at: int) -> int:
    """Where the next sign is that is no blank and no comment."""
    found = _SKIPPED.match(text, at)
    return found.end() if found else at


class _Reader:
    def __init__(self, text: str) -> None:
        self.text = text

    def skip(self, at: int) -> int:
        return after_skipped(self.text, at)

    def unexpected(self, at: int, wanted: str) -> NotUnderstoodError:
        line = self.text.count("\n", 0, at) + 1
        return NotUnderstoodError(f"line {line}: expected {wanted}, found {self.text[at : at + 12]!r}")

    def value(self, at: int, depth: int) -> Member:
        if depth > DEEPEST:
            raise self.unexpected(at, f"at most {DEEPEST} levels")
        sign = self.text[at : at + 1]
        if sign == "{":
            return self.object(at, depth)
        if sign == "[":
            return self.list(at, depth)
        found = (_STRING if sign == '"' else _SCALAR).match(self.text, at)
        if found is None:
            raise self.unexpected(at, "a value")
        return Member(self.scalar(found.group(), at), at, found.end())

    def scalar(self, written: str, at: int) -> object:
        try:
            return json.loads(written)
        except ValueError:
            raise self.unexpected(at, "a value") from None

    def object(self, start: int, depth: int) -> Member:
        members: dict[str, Member] = {}

        def read(at: int) -> int:
            name = _STRING.match(self.text, at)
            if name is None:
                raise self.unexpected(at, "a name in quotes")
            colon = self.skip(name.end())
            if self.text[colon : colon + 1] != ":":
                raise self.unexpected(colon, "':'")
            member = self.value(self.skip(colon + 1), depth + 1)
            members[str(self.scalar(name.group(), at))] = member
            return member.end

        end = self.items(start, "}", read)
        return Member({name: member.value for name, member in members.items()}, start, end, members)

    def list(self, start: int, depth: int) -> Member:
        values: list[object] = []

        def read(at: int) -> int:
            member = self.value(at, depth + 1)
            values.append(member.value)
            return member.end

        end = self.items(start, "]", read)
        return Member(values, start, end)

    def items(self, start: int, closing: str, read: Callable[[int], int]) -> int:
        """Reads item after item up to the closing sign; where that ends."""
        at = self.skip(start + 1)
        while self.text[at : at + 1] != closing:
            at = self.skip(read(at))
            if self.text[at : at + 1] == ",":
                at = self.skip(at + 1)
            elif self.text[at : at + 1] != closing:
                raise self.unexpected(at, f"',' or '{closing}'")
        return at + 1
