"""Windows' key events as the bytes that a terminal sends."""

from __future__ import annotations

import codecs
from collections.abc import Iterable

from devboxgpu.console.kernel import CTRL_HELD, VK_2, VK_MENU, VK_SPACE, InputEvent, Key


class KeyBytes:
    """UTF-16 units to UTF-8. A character of two units is whole even where a read ended between them."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-16-le")("replace")

    def of(self, events: Iterable[InputEvent]) -> bytes:
        units = b"".join(_units(event) for event in events if isinstance(event, Key))
        return self._decoder.decode(units).encode()


def _units(key: Key) -> bytes:
    if not key.is_down:
        # A character typed by its number on the keypad comes when Alt is let go.
        return _unit(key) if key.virtual_key == VK_MENU and key.unit else b""
    if key.unit == 0 and not _makes_nul(key):
        return b""  # Shift, Ctrl and their like alone
    return _unit(key) * max(1, key.repeat)


def _makes_nul(key: Key) -> bool:
    """Ctrl-Space and Ctrl-@: the console gives them as a character, or as the keys."""
    return key.virtual_key == 0 or (key.virtual_key in {VK_SPACE, VK_2} and bool(key.state & CTRL_HELD))


def _unit(key: Key) -> bytes:
    return key.unit.to_bytes(2, "little")
