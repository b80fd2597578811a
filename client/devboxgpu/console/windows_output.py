"""Bytes of a remote terminal onto a Windows console.

They are decoded here and written with WriteConsoleW. UTF-8 bytes under code page 65001 would do on today's consoles;
older ones break a character that is split over two writes, and any program in the same console may change the page.
"""

from __future__ import annotations

import codecs
import errno
import os
from collections.abc import Callable

from devboxgpu.console.kernel import ERROR, OUTPUT, Kernel

WRITE_CHARACTERS = 8192
"""Old consoles take no more than some 32,000 units in one call."""
STANDARD = {1: OUTPUT, 2: ERROR}
NOBODY_READS = frozenset({errno.EPIPE, errno.EINVAL})
"""Windows says EINVAL too, when the reader of a pipe has gone."""


class WindowsOutput:
    """Standard output or error; the rest of a character that is not there yet is waited for."""

    def __init__(
        self, kernel: Kernel, descriptor: int, *, write_pipe: Callable[[int, memoryview], int] = os.write
    ) -> None:
        self._kernel, self._descriptor, self._write_pipe = kernel, descriptor, write_pipe
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def write(self, data: bytes) -> None:
        """Writes all of it; raises BrokenPipeError when nobody reads any more, or the console has gone."""
        handle = self._kernel.console(STANDARD[self._descriptor]) if self._descriptor in STANDARD else None
        if handle is None:
            self._write_all(data)
            return
        text = self._decoder.decode(data)
        for start in range(0, len(text), WRITE_CHARACTERS):
            if not self._kernel.write(handle, text[start : start + WRITE_CHARACTERS]):
                raise BrokenPipeError(errno.EPIPE, "the console has gone")

    def _write_all(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            try:
                written = self._write_pipe(self._descriptor, rest)
            except OSError as error:
                if error.errno in NOBODY_READS:
                    raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE)) from None
                raise
            rest = rest[written:]
