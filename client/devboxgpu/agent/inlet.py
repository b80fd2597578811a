"""Bytes on their way into a program: written as fast as it takes them, and given back to their channel."""

from __future__ import annotations

import os
from collections import deque

from .channels import Channel
from .loop import Loop

END_OF_TERMINAL_INPUT = b"\x04"


class Inlet:
    """The end of a pipe, which is closed after the last byte; or of a terminal, which is not this object's to close."""

    def __init__(self, loop: Loop, fd: int, *, is_pipe: bool) -> None:
        self._loop, self._fd, self._is_pipe = loop, fd, is_pipe
        self._waiting: deque[tuple[bytes, Channel | None]] = deque()
        self._ends = False
        self._is_open = True

    def put(self, data: bytes, channel: Channel | None) -> None:
        self._waiting.append((data, channel))
        if len(self._waiting) == 1 or not self._is_open:
            self._write()

    def end(self) -> None:
        """No more will come. On a terminal that is a key: the program reads an end where it reads lines."""
        if self._ends:
            return
        if not self._is_pipe:
            self.put(END_OF_TERMINAL_INPUT, None)
            return
        self._ends = True
        self._write()

    def close(self) -> None:
        """Nobody reads any more: what waits is given back unread, and so is what still comes."""
        if self._is_open:
            self._is_open = False
            self._loop.no_writer(self._fd)
            if self._is_pipe:
                self._loop.close(self._fd)
        self._give_back_all()

    def _write(self) -> None:
        try:
            while self._waiting and self._is_open:
                data, channel = self._waiting[0]
                written = os.write(self._fd, data)
                self._waiting[0] = (data[written:], channel)
                if written == len(data):
                    self._waiting.popleft()
                if channel is not None:
                    channel.consumed(written)
        except BlockingIOError:
            self._loop.writer(self._fd, self._write)
            return
        except OSError:  # EPIPE, EIO: the program reads no more
            self.close()
            return
        if self._ends or not self._is_open:
            self.close()
        else:
            self._loop.no_writer(self._fd)

    def _give_back_all(self) -> None:
        while self._waiting:
            data, channel = self._waiting.popleft()
            if channel is not None:
                channel.consumed(len(data))
