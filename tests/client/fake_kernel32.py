"""A Windows console as kernel32 shows it: modes, code pages, input events, what was written, and calls that fail."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from devboxgpu.console import kernel as win
from devboxgpu.console.kernel import BufferResized, InputEvent, Interrupted, Key

COOKED = win.PROCESSED_INPUT | win.LINE_INPUT | win.ECHO_INPUT | 0x0040 | 0x0080  # quick edit, extended flags
HANDLES = {win.INPUT: 3, win.OUTPUT: 7, win.ERROR: 11}


@dataclass
class FakeKernel32:
    consoles: set[int] = field(default_factory=lambda: {win.INPUT, win.OUTPUT, win.ERROR})
    """Which standard handles are consoles; the others are redirected."""
    modes: dict[int, int] = field(default_factory=lambda: {3: COOKED, 7: win.PROCESSED_OUTPUT, 11: 1})
    pages: tuple[int, int] = (437, 850)
    refused_modes: dict[int, int] = field(default_factory=dict)
    """Bits that this console does not know, by handle: a mode with one of them is refused."""
    refuses_code_pages: bool = False
    event_reads: list[Sequence[InputEvent] | None] = field(default_factory=list)
    """What each read of events gives; the console has gone when none is left."""
    line_reads: list[str | type[Interrupted] | None] = field(default_factory=list)
    written: dict[int, list[str]] = field(default_factory=dict)
    write_fails: bool = False
    handler: Callable[[int], bool] | None = None
    history: list[tuple[int, int]] = field(default_factory=list)

    def console(self, standard: int) -> int | None:
        return HANDLES[standard] if standard in self.consoles else None

    def mode(self, handle: int) -> int | None:
        return self.modes.get(handle)

    def set_mode(self, handle: int, mode: int) -> bool:
        self.history.append((handle, mode))
        if mode & self.refused_modes.get(handle, 0):
            return False
        self.modes[handle] = mode
        return True

    def code_pages(self) -> tuple[int, int]:
        return self.pages

    def set_code_pages(self, pages: tuple[int, int]) -> bool:
        if self.refuses_code_pages:
            return False
        self.pages = pages
        return True

    def read_events(self, handle: int) -> Sequence[InputEvent] | None:
        assert handle == HANDLES[win.INPUT]
        return self.event_reads.pop(0) if self.event_reads else None

    def read_line(self, handle: int) -> bytes | None:
        assert handle == HANDLES[win.INPUT]
        line = self.line_reads.pop(0) if self.line_reads else None
        if line is Interrupted:
            raise Interrupted
        return line.encode("utf-16-le", "surrogatepass") if isinstance(line, str) else None

    def write(self, handle: int, text: str) -> bool:
        if not self.write_fails:
            self.written.setdefault(handle, []).append(text)
        return not self.write_fails

    def watch_closing(self, heard: Callable[[int], bool]) -> bool:
        self.handler = heard
        return True


def typed(text: str) -> list[InputEvent]:
    """The events of a text: down and up for each of its units."""
    units = text.encode("utf-16-le", "surrogatepass")
    numbers = [int.from_bytes(units[at : at + 2], "little") for at in range(0, len(units), 2)]
    return [Key(is_down, 1, 0, unit) for unit in numbers for is_down in (True, False)]


RESIZED = BufferResized()
