"""Lines of facts, `a · b · c`, on terminals of any width."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

SEPARATOR = " · "
NARROWEST = 12
"""Columns below which nothing is folded any further."""


def fold(text: str, width: int) -> Iterator[str]:
    """The text on lines of at most `width` columns, broken between facts, and at words within one that is too long."""
    width, line = max(width, NARROWEST), ""
    for fact in filter(None, text.split(SEPARATOR)):
        longer = f"{line}{SEPARATOR}{fact}" if line else fact
        if line and len(longer) > width:
            yield from textwrap.wrap(line, width)
            longer = fact
        line = longer
    yield from textwrap.wrap(line, width)


def hanging(text: str, width: int, indent: str = "  ") -> str:
    """The same as one text, the lines after the first indented."""
    first, *others = list(fold(text, width)) or [""]
    rest = [indent + line for other in others for line in fold(other, width - len(indent))]
    return "\n".join([first, *rest])
