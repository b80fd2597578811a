"""Bars in a terminal: one line each, in eighths of a block where the terminal can show them, else in '#'."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from devboxgpu.wording import printable

EIGHTHS = " ▏▎▍▌▋▊▉"
WHOLE = "█"
LONGEST_LABEL = 40
SHORTEST_BAR = 10
LONGEST_BAR = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    label: str
    amount: Decimal
    """0 or more; the largest of all fills the width."""
    text: str


def drawn(bars: Sequence[Bar]) -> list[str]:
    """The lines of a chart as wide as this terminal."""
    return lines(bars, width=shutil.get_terminal_size().columns, blocks=shows_blocks())


def lines(bars: Sequence[Bar], *, width: int, blocks: bool) -> list[str]:
    labels = [_label(bar.label, blocks=blocks) for bar in bars]
    label_width = max(map(len, labels), default=0)
    text_width = max((len(bar.text) for bar in bars), default=0)
    room = min(LONGEST_BAR, max(SHORTEST_BAR, width - label_width - text_width - 4))
    most = max((bar.amount for bar in bars), default=Decimal(0))
    return [
        f"{label:<{label_width}}  {_bar(bar.amount, most, room, blocks=blocks):<{room}}  {bar.text}".rstrip()
        for label, bar in zip(labels, bars, strict=True)
    ]


def shows_blocks() -> bool:
    """Whether standard output can show block characters."""
    if os.environ.get("TERM") == "dumb":
        return False
    try:
        (WHOLE + EIGHTHS).encode(sys.stdout.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def _bar(amount: Decimal, most: Decimal, room: int, *, blocks: bool) -> str:
    """A bar in proportion; what is more than nothing shows at least its smallest sign."""
    if amount <= 0 or most <= 0:
        return ""
    units = 8 if blocks else 1
    length = max(1, round(amount / most * room * units))
    if not blocks:
        return "#" * length
    return WHOLE * (length // 8) + EIGHTHS[length % 8].strip()


def _label(text: str, *, blocks: bool) -> str:
    text = printable(text)
    if len(text) <= LONGEST_LABEL:
        return text
    return text[: LONGEST_LABEL - 1] + "…" if blocks else text[: LONGEST_LABEL - 3] + "..."
