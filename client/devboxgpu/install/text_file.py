"""Somebody's text file as text, and back to the same bytes: encoding, line ends and broken characters stay."""

from __future__ import annotations

import codecs
from dataclasses import dataclass

BOMS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))


class NotUnderstoodError(ValueError):
    """The file cannot be edited without guessing; the text says where and why."""


@dataclass(frozen=True, slots=True)
class TextFile:
    text: str
    encoding: str = "utf-8"
    bom: bytes = b""

    @classmethod
    def read(cls, content: bytes) -> TextFile:
        for bom, encoding in BOMS:
            if content.startswith(bom):
                return cls(content[len(bom) :].decode(encoding, "surrogatepass"), encoding, bom)
        return cls(content.decode("utf-8", "surrogateescape"))

    def newline(self) -> str:
        return "\r\n" if "\r\n" in self.text else "\n"

    def with_text(self, text: str) -> bytes:
        errors = "surrogatepass" if self.bom else "surrogateescape"
        return self.bom + text.encode(self.encoding, errors)
