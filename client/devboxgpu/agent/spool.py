"""Past output on disk, error output apart: in a few files without a name, of which the oldest is let go."""

from __future__ import annotations

import os
import struct
from collections import deque
from typing import NamedTuple

from .output import Kept, Piece, Reader

SPOOL_KEEPS = 64 * 1024 * 1024
SEGMENTS = 8
_RECORD = struct.Struct("!?QI")
"""Whether it is error output, the offset of its first byte in all output of the program, and its length."""


class _Header(NamedTuple):
    is_error: bool
    offset: int
    length: int


class _Segment:
    """One file of a spool: records of output, and how many bytes of output they are."""

    def __init__(self, path: str, begins: int) -> None:
        self.begins = begins
        """The offset of its first byte of output."""
        self.file = open(path, "w+b", buffering=0)  # noqa: SIM115 - it lives as long as the segment
        os.unlink(path)  # the descriptor keeps it, and nothing of it stays when the agent is gone
        self.size = 0
        self.output = 0

    def header(self, at: int) -> _Header | None:
        """Of the record there; None at the end."""
        if at >= self.size:
            return None
        is_error, offset, length = _RECORD.unpack(os.pread(self.file.fileno(), _RECORD.size, at))
        return _Header(bool(is_error), int(offset), int(length))


class Spool(Kept):
    """In a few files without a name, of which the oldest is let go; for piped output that nobody takes."""

    def __init__(self, directory: str, name: str, keeps: int = SPOOL_KEEPS, *, begins: int = 0) -> None:
        """`begins`: how much the program had printed before."""
        self._next = begins
        self._path = os.path.join(directory, f"spool-{os.getpid()}-{name}")
        self._segment_size = keeps // SEGMENTS
        self.segments: deque[_Segment] = deque()
        self._segment = 0  # the looker-on's: which one, where in it, and how much output it had before that place
        self._at = 0
        self._seen = 0
        self._rest = Piece(b"", is_error=False)
        self._skipped = 0

    def append(self, data: bytes, *, is_error: bool) -> None:
        record = _RECORD.pack(is_error, self._next, len(data)) + data
        self._next += len(data)
        try:
            segment = self._segment_to_write(self._next - len(data))
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
        to_pass = max(0, sum(segment.output for segment in self.segments) - count)
        self._segment = self._at = self._seen = 0
        while self._segment < len(self.segments) - 1 and self.segments[self._segment].output <= to_pass:
            to_pass -= self.segments[self._segment].output
            self._segment += 1
        while self._segment < len(self.segments) and (header := self._header()) and header[1] <= to_pass:
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
        for segment in self.segments:
            segment.file.close()
        self.segments.clear()
        self._segment = self._at = self._seen = 0

    def reader(self, offset: int) -> Reader:
        return SpoolReader(self.segments, offset)

    def _segment_to_write(self, begins: int) -> _Segment:
        if not self.segments or self.segments[-1].size >= self._segment_size:
            self.segments.append(_Segment(self._path, begins))
            if len(self.segments) > SEGMENTS:
                self._let_go()
        return self.segments[-1]

    def _header(self) -> tuple[bool, int] | None:
        header = self.segments[self._segment].header(self._at)
        return None if header is None else (header.is_error, header.length)

    def _next_record(self) -> Piece | None:
        while self._segment < len(self.segments):
            header = self._header()
            if header is not None:
                data = os.pread(self.segments[self._segment].file.fileno(), header[1], self._at + _RECORD.size)
                self._at += _RECORD.size + len(data)
                self._seen += len(data)
                return Piece(data, header[0])
            if self._segment == len(self.segments) - 1:
                return None
            self._segment, self._at, self._seen = self._segment + 1, 0, 0
        return None

    def _let_go(self) -> None:
        oldest = self.segments.popleft()
        oldest.file.close()
        if self._segment > 0:
            self._segment -= 1
        else:
            self._skipped += oldest.output - self._seen
            self._at = self._seen = 0


class SpoolReader(Reader):
    def __init__(self, segments: deque[_Segment], offset: int) -> None:
        super().__init__(offset)
        self._segments = segments
        older = [segment for segment in segments if segment.begins <= offset]
        self._segment = older[-1] if older else None
        self._at = 0
        self._rest = Piece(b"", is_error=False)

    def take(self, most: int) -> Piece | None:
        if not self._rest.data:
            record = self._next_record()
            if record is None:
                return None
            self._rest = record
        data, self._rest = self._rest.data[:most], self._rest._replace(data=self._rest.data[most:])
        self.offset += len(data)
        return Piece(data, self._rest.is_error)

    def _next_record(self) -> Piece | None:
        while (segment := self._current()) is not None:
            header = segment.header(self._at)
            if header is None:
                following = self._following(segment)
                if following is None:
                    return None
                self._segment, self._at = following, 0
                continue
            start = self._at + _RECORD.size
            self._at = start + header.length
            if header.offset + header.length <= self.offset:
                continue
            self._come_to(header.offset)
            data = os.pread(segment.file.fileno(), header.length, start)
            return Piece(data[self.offset - header.offset :], header.is_error)
        return None

    def _current(self) -> _Segment | None:
        """Where to read; the oldest that there is, where ours has been let go."""
        if self._segment not in self._segments:
            self._segment, self._at = (self._segments[0] if self._segments else None), 0
        return self._segment

    def _following(self, segment: _Segment) -> _Segment | None:
        index = self._segments.index(segment) + 1
        return self._segments[index] if index < len(self._segments) else None
