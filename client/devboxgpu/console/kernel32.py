"""The real kernel32, through ctypes."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable, Sequence
from ctypes import wintypes

from devboxgpu.console.input_records import INPUT_RECORD, event_of
from devboxgpu.console.kernel import InputEvent, Interrupted

assert sys.platform == "win32"  # the type checker reads from here on for that system only

READ_EVENTS = 1024
READ_UNITS = 4096
OPERATION_ABORTED = 995
HANDLER = ctypes.WINFUNCTYPE(wintypes.BOOL, wintypes.DWORD)


class Kernel32:
    def __init__(self) -> None:
        self._library = ctypes.WinDLL("kernel32", use_last_error=True)
        self._library.GetStdHandle.restype = wintypes.HANDLE
        for name in ("GetConsoleMode", "SetConsoleMode", "ReadConsoleInputW", "ReadConsoleW", "WriteConsoleW"):
            getattr(self._library, name).restype = wintypes.BOOL
        self._handlers: list[object] = []  # kept, or the system would call what is no longer there

    def console(self, standard: int) -> int | None:
        handle = self._library.GetStdHandle(wintypes.DWORD(standard & 0xFFFFFFFF))
        return handle if handle is not None and self.mode(handle) is not None else None

    def mode(self, handle: int) -> int | None:
        mode = wintypes.DWORD()
        got = self._library.GetConsoleMode(wintypes.HANDLE(handle), ctypes.byref(mode))
        return mode.value if got else None

    def set_mode(self, handle: int, mode: int) -> bool:
        return bool(self._library.SetConsoleMode(wintypes.HANDLE(handle), wintypes.DWORD(mode)))

    def code_pages(self) -> tuple[int, int]:
        return self._library.GetConsoleCP(), self._library.GetConsoleOutputCP()

    def set_code_pages(self, pages: tuple[int, int]) -> bool:
        taken = [
            bool(set_page(wintypes.UINT(page)))
            for set_page, page in zip(
                (self._library.SetConsoleCP, self._library.SetConsoleOutputCP), pages, strict=True
            )
        ]
        return all(taken)

    def read_events(self, handle: int) -> Sequence[InputEvent] | None:
        records = (INPUT_RECORD * READ_EVENTS)()
        count = wintypes.DWORD()
        read = self._library.ReadConsoleInputW(wintypes.HANDLE(handle), records, READ_EVENTS, ctypes.byref(count))
        return [event_of(record) for record in records[: count.value]] if read else None

    def read_line(self, handle: int) -> bytes | None:
        units = ctypes.create_unicode_buffer(READ_UNITS)
        count = wintypes.DWORD()
        ctypes.set_last_error(0)
        read = self._library.ReadConsoleW(wintypes.HANDLE(handle), units, READ_UNITS, ctypes.byref(count), None)
        if ctypes.get_last_error() == OPERATION_ABORTED:
            raise Interrupted
        return bytes(units)[: count.value * 2] if read else None

    def write(self, handle: int, text: str) -> bool:
        rest = text.encode("utf-16-le", "surrogatepass")
        while rest:
            written = wintypes.DWORD()
            units = ctypes.create_string_buffer(rest)
            count = wintypes.DWORD(len(rest) // 2)
            if not self._library.WriteConsoleW(wintypes.HANDLE(handle), units, count, ctypes.byref(written), None):
                return False
            if not written.value:
                return False
            rest = rest[written.value * 2 :]
        return True

    def watch_closing(self, heard: Callable[[int], bool]) -> bool:
        handler = HANDLER(heard)
        self._handlers.append(handler)
        return bool(self._library.SetConsoleCtrlHandler(handler, True))
