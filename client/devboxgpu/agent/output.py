"""Past output of a program, with a place in it for whoever looks on: the newest bytes are kept, the oldest let go."""

from __future__ import annotations

import os
import struct
from collections import deque
from typing import NamedTuple

TERMINAL_KEEPS = 2 * 1024 * 1024
SPOOL_KEEPS = 64 * 1024 * 1024
SEGMENTS = 8
_RECORD = struct.Struct("!?I")


class Piece(NamedTuple):
    data: bytes
    is_error: bool


class Kept:
    """What both kinds promise. `skipped` bytes were let go before the looker-on had seen them."""

    def append(self, data: bytes, *, is_error: bool) -> None:
        raise NotImplementedError

    def rewind(self, count: int) -> None:
        """The next `take` begins about so many bytes before the end, or with the oldest that is kept."""
        raise NotImplementedError

    def take(self, most: int) -> Piece | None:
        """What comes next, at most so much; None at the end."""
        raise NotImplementedError

    def take_skipped(self) -> int:
        """How many bytes were let go since the last call."""
        raise NotImplementedError

    def close(self) -> None:
        """Nothing is kept any more."""


class Ring(Kept):
    """In memory; for a terminal, which knows no error output."""

    def __init__(self, keeps: int = TERMINAL_KEEPS) -> None:
        self._keeps = keeps
        self._bytes = bytearray()
        self._at = 0
        self._skipped = 0

    @property
    def waiting(self) -> int:
        """How many bytes the looker-on has not taken yet."""
        return len(self._bytes) - self._at

    def append(self, data: bytes, *, is_error: bool = False) -> None:
        self._bytes += data
        too_many = len(self._bytes) - self._keeps
        if too_many > self._keeps // 2:  # not for every byte: letting go moves what stays
            del self._bytes[:too_many]
            self._skipped += max(0, too_many - self._at)
            self._at = max(0, self._at - too_many)

    def rewind(self, count: int) -> None:
        self._at = max(0, len(self._bytes) - count)
        self._skipped = 0

    def take(self, most: int) -> Piece | None:
        if self._at == len(self._bytes):
            return None
        data = bytes(self._bytes[self._at : self._at + most])
        self._at += len(data)
        return Piece(data, is_error=False)

    def take_skipped(self) -> int:
        skipped, self._skipped = self._skipped, 0
        return skipped

    def close(self) -> None:
        self._bytes = bytearray()
        self._at = 0


class _Segment:
    """One file of a spool: records of output, and how many bytes of output they are."""

    def __init__(self, path: str) -> None:
        self.file = open(path, "w+b", buffering=0)  # noqa: SIM115 - it lives as long as the segment
        os.unlink(path)  # the descriptor keeps it, and nothing of it stays when the agent is gone
        self.size = 0
        self.output = 0


class Spool(Kept):
    """In a few files without a name, of which the oldest is let go; for piped output that nobody takes."""

    def __init__(self, directory: str, name: str, keeps: int = SPOOL_KEEPS) -> None:
        self._path = os.path.join(directory, f"spool-{os.getpid()}-{name}")
        self._segment_size = keeps // SEGMENTS
        self._segments: deque[_Segment] = deque()
        self._segment = 0  # the looker-on's: which one, where in it, and how much output it had before that place
        self._at = 0
        self._seen = 0
        self._rest = Piece(b"", is_error=False)
        self._skipped = 0

    def append(self, data: bytes, *, is_error: bool) -> None:
        record = _RECORD.pack(is_error, len(data)) + data
        try:
            segment = self._segment_to_write()
            is_whole = os.pwrite(segment.file.fileno(), record, segment.size) == len(record)
        except OSError:
            is_whole = False
        if not is_whole:  # the disk is full: this output is let go, and the looker-on is told
            self._skipped += len(data)
            return
        segment.size += len(record)
        segment.output += len(data)

    def rewind(self, count: int) -> None:
        """To the beginning of a record: up to 64 KiB more than was asked for."""
        self._rest, self._skipped = Piece(b"", is_error=False), 0
        to_pass = max(0, sum(segment.output for segment in self._segments) - count)
        self._segment = self._at = self._seen = 0
        while self._segment < len(self._segments) - 1 and self._segments[self._segment].output <= to_pass:
            to_pass -= self._segments[self._segment].output
            self._segment += 1
        while self._segment < len(self._segments) and (header := self._header()) and header[1] <= to_pass:
            self._at += _RECORD.size + header[1]
            self._seen += header[1]
            to_pass -= header[1]

    def take(self, most: int) -> Piece | None:
        if not self._rest.data:
            record = self._next_record()
            if record is None:
                return None
            self._rest = record
        data, self._rest = self._rest.data[:most], self._rest._replace(data=self._rest.data[most:])
        return Piece(data, self._rest.is_error)

    def take_skipped(self) -> int:
        if self._rest.data:
            return 0  # it comes before the gap
        skipped, self._skipped = self._skipped, 0
        return skipped

    def close(self) -> None:
        for segment in self._segments:
            segment.file.close()
        self._segments.clear()
        self._segment = self._at = self._seen = 0

    def _segment_to_write(self) -> _Segment:
        if not self._segments or self._segments[-1].size >= self._segment_size:
            self._segments.append(_Segment(self._path))
            if len(self._segments) > SEGMENTS:
                self._let_go()
        return self._segments[-1]

    def _header(self) -> tuple[bool, int] | None:
        segment = self._segments[self._segment]
        if self._at >= segment.size:
            return None
        is_error, length = _RECORD.unpack(os.pread(segment.file.fileno(), _RECORD.size, self._at))
        return bool(is_error), int(length)

    def _next_record(self) -> Piece | None:
        while self._segment < len(self._segments):
            header = self._header()
            if header is not None:
                data = os.pread(self._segments[self._segment].file.fileno(), header[1], self._at + _RECORD.size)
                self._at += _RECORD.size + len(data)
                self._seen += len(data)
                return Piece(data, header[0])
            if self._segment == len(self._segments) - 1:
                return None
            self._segment, self._at, self._seen = self._segment + 1, 0, 0
        return None

    def _let_go(self) -> None:
        oldest = self._segments.popleft()
        oldest.file.close()
        if self._segment > 0:
            self._segment -= 1
        else:
            self._skipped += oldest.output - self._seen
            self._at = self._seen = 0
