"""What of Windows' kernel32 a console needs, as a Protocol: the real one is in kernel32.py, tests bring a false one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

INPUT, OUTPUT, ERROR = -10, -11, -12
"""Names of the standard handles."""

PROCESSED_INPUT = 0x0001
LINE_INPUT = 0x0002
ECHO_INPUT = 0x0004
WINDOW_INPUT = 0x0008
VIRTUAL_TERMINAL_INPUT = 0x0200
PROCESSED_OUTPUT = 0x0001
VIRTUAL_TERMINAL_PROCESSING = 0x0004
DISABLE_NEWLINE_AUTO_RETURN = 0x0008

UTF8_CODE_PAGE = 65001
CTRL_CLOSE, CTRL_LOGOFF, CTRL_SHUTDOWN = 2, 5, 6

VK_SPACE, VK_2, VK_MENU = 0x20, 0x32, 0x12
CTRL_HELD = 0x0008 | 0x0004
"""Either Ctrl key, in a key event's state."""


@dataclass(frozen=True, slots=True)
class Key:
    """A key event. With virtual terminal input an arrow key is several of them, one for each character."""

    is_down: bool
    repeat: int
    virtual_key: int
    unit: int
    """A UTF-16 code unit; 0 where the key makes no character."""
    state: int = 0


@dataclass(frozen=True, slots=True)
class BufferResized:
    """The screen buffer has another size; the window's must be asked for."""


@dataclass(frozen=True, slots=True)
class OtherEvent:
    """Mouse, menu, focus: nothing for a remote terminal."""


InputEvent = Key | BufferResized | OtherEvent


class Interrupted(Exception):
    """A read of a line was broken off by Ctrl-C or Ctrl-Break."""


class Kernel(Protocol):
    """Calls fail as a False or a None, never as an exception."""

    def console(self, standard: int) -> int | None:
        """The standard handle, where it is a console; None for a pipe, a file, or nothing."""
        ...

    def mode(self, handle: int) -> int | None: ...

    def set_mode(self, handle: int, mode: int) -> bool: ...

    def code_pages(self) -> tuple[int, int]:
        """For input and output; 0 where unknown."""
        ...

    def set_code_pages(self, pages: tuple[int, int]) -> bool: ...

    def read_events(self, handle: int) -> Sequence[InputEvent] | None:
        """Waits for input events; None when the console has gone."""
        ...

    def read_line(self, handle: int) -> bytes | None:
        """UTF-16 of a line, or a part of a long one; None when the console has gone. Raises Interrupted."""
        ...

    def write(self, handle: int, text: str) -> bool:
        """All of it, which is at most WRITE_CHARACTERS."""
        ...

    def watch_closing(self, heard: Callable[[int], bool]) -> bool:
        """Calls `heard`, on a thread of the system's, with each control event; whether it deals with it.

        When it returns True from a close, a log-off or a shutdown, the process ends at once.
        """
        ...
