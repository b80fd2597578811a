"""Draw the icon of the terminal profiles and of the VS Code extension: `python -m scripts.draw_icon`.

A prompt on a chip with pins, 128 by 128, drawn at four times the size and averaged down. The picture is kept in the
repository; this is how it is made anew.
"""

from __future__ import annotations

import struct
import sys
import zlib
from pathlib import Path

FILE = Path(__file__).resolve().parent.parent / "client" / "devboxgpu" / "vscode" / "icon.png"
SIZE = 128
FINER = 4
Colour = tuple[int, int, int, int]
Box = tuple[float, float, float, float]
"""Left, top, right, bottom."""
CLEAR: Colour = (0, 0, 0, 0)
BOARD: Colour = (22, 27, 34, 255)
PIN: Colour = (118, 185, 71, 255)
SIGN: Colour = (240, 246, 252, 255)


def main() -> int:
    FILE.write_bytes(png(pixels()))
    return 0


def pixels() -> list[list[Colour]]:
    return [[averaged(column, row) for column in range(SIZE)] for row in range(SIZE)]


def averaged(column: int, row: int) -> Colour:
    """The pixel as the mean of its finer ones, with clear ones weighing nothing in the colour."""
    parts = [
        colour_at(column + (dx + 0.5) / FINER, row + (dy + 0.5) / FINER) for dx in range(FINER) for dy in range(FINER)
    ]
    seen = sum(part[3] for part in parts)
    if not seen:
        return CLEAR
    red, green, blue = (round(sum(part[place] * part[3] for part in parts) / seen) for place in range(3))
    return red, green, blue, round(seen / len(parts))


def colour_at(x: float, y: float) -> Colour:
    if in_box(x, y, (20, 20, 108, 108), radius=14):
        return SIGN if in_sign(x, y) else BOARD
    along = x if 6 <= y <= 20 or 108 <= y <= 122 else y
    across_ok = 6 <= min(x, y) <= 20 or 108 <= max(x, y) <= 122
    if across_ok and 24 <= along <= 104 and (along - 24) % 18 <= 8 and in_box(x, y, (6, 6, 122, 122), radius=4):
        return PIN
    return CLEAR


def in_sign(x: float, y: float) -> bool:
    """`>_`"""
    if 40 <= x <= 64 and abs(abs(y - 58) - (64 - x) * 0.85) <= 5:
        return True
    return in_box(x, y, (66, 78, 92, 86), radius=3)


def in_box(x: float, y: float, box: Box, *, radius: float) -> bool:
    """Whether the point is in the box, whose corners are round."""
    left, top, right, bottom = box
    if not (left <= x <= right and top <= y <= bottom):
        return False
    dx = max(left + radius - x, x - (right - radius), 0)
    dy = max(top + radius - y, y - (bottom - radius), 0)
    return dx * dx + dy * dy <= radius * radius


def png(rows: list[list[Colour]]) -> bytes:
    raw = b"".join(b"\x00" + bytes(value for pixel in row for value in pixel) for row in rows)
    header = struct.pack(">IIBBBBB", SIZE, SIZE, 8, 6, 0, 0, 0)
    parts = (chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(raw, 9)), chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


if __name__ == "__main__":
    sys.exit(main())
