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
                return cls(_decoded(content[len(bom) :], encoding), encoding, bom)
        return cls(_decoded(content, "utf-8"))

    def newline(self) -> str:
        return "\r\n" if "\r\n" in self.text else "\n"

    def with_text(self, text: str) -> bytes:
        return self.bom + text.encode(self.encoding, _ERRORS[self.encoding])


_ERRORS = {"utf-8": "surrogateescape", "utf-16-le": "surrogatepass", "utf-16-be": "surrogatepass"}


def _decoded(content: bytes, encoding: str) -> str:
    try:
        return content.decode(encoding, _ERRORS[encoding])
    except UnicodeDecodeError as error:
        raise NotUnderstoodError(f"it begins as {encoding} and is none: {error.reason}") from None
