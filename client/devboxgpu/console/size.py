"""The size of a terminal in characters."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Size:
    columns: int
    rows: int


FALLBACK = Size(80, 24)


def size_of_terminal() -> Size:
    """The size of the terminal on any of the standard streams; 80x24 where there is none."""
    for stream in (sys.__stdout__, sys.__stderr__, sys.__stdin__):
        try:
            found = os.get_terminal_size(stream.fileno()) if stream is not None else None
        except (OSError, ValueError):
            continue
        if found is not None and found.columns > 0 and found.lines > 0:
            return Size(found.columns, found.lines)
    return FALLBACK
