"""The output of a detached program on this machine: records with their place in all output, in two files at most."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

LARGEST_FILE = 64 * 1024 * 1024
_RECORD = struct.Struct("!?QI")
"""Whether it is error output, the offset of its first byte, and its length."""
LONGEST_RECORD = 16 * 1024 * 1024

Piece = tuple[bytes, bool]
"""Output, and whether it is error output."""


class OutputLog:
    """Written by one process. A record that was cut off by a crash is written over."""

    def __init__(self, files: tuple[Path, Path], *, largest: int = LARGEST_FILE) -> None:
        self._newer, self._older = files
        self._largest = largest
        self.offset = 0
        """Of the next byte in all output of the program."""
        self._file = self._open()

    def append(self, data: bytes, *, is_error: bool) -> None:
        """Raises OSError where there is no room; the bytes count as skipped then."""
        start, self.offset = self.offset, self.offset + len(data)
        if self._file.tell() >= self._largest:
            self._turn()
        self._file.write(_RECORD.pack(is_error, start, len(data)) + data)
        self._file.flush()

    def skip(self, count: int) -> None:
        """So many bytes of output are not to be had."""
        self.offset += count

    def close(self) -> None:
        self._file.close()

    def _open(self) -> BinaryIO:
        file = _opened(self._newer)
        end = 0
        for record_end, offset in _ends(file):
            end, self.offset = record_end, offset
        if not end:
            self.offset = self._end_of_older()
        file.seek(end)
        file.truncate()
        return file

    def _end_of_older(self) -> int:
        try:
            with self._older.open("rb") as older:
                return max((offset for _, offset in _ends(older)), default=0)
        except FileNotFoundError:
            return 0

    def _turn(self) -> None:
        self._file.close()
        os.replace(self._newer, self._older)
        self._file = _opened(self._newer)


def _opened(path: Path) -> BinaryIO:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o600)
    return open(descriptor, "r+b")


def read_log(files: tuple[Path, Path], offset: int = 0) -> Iterator[Piece]:
    """What is there from that offset on, oldest first. Nothing where there are no files."""
    newer, older = files
    for path in (older, newer):
        try:
            file = path.open("rb")
        except FileNotFoundError:
            continue
        with file:
            for is_error, start, data in _records(file):
                if start + len(data) > offset:
                    yield data[max(0, offset - start) :], is_error


def last_lines(pieces: list[Piece], lines: int) -> list[Piece]:
    """The end of it, from the beginning of the line that is so many before the last."""
    kept: list[Piece] = []
    left = lines
    for index in range(len(pieces) - 1, -1, -1):
        data, is_error = pieces[index]
        at = len(data) - 1 if index == len(pieces) - 1 and data.endswith(b"\n") else len(data)
        while left > 0 and (found := data.rfind(b"\n", 0, at)) >= 0:
            left, at = left - 1, found
        if left == 0:
            kept.append((data[at + 1 :], is_error))
            break
        kept.append((data, is_error))
    return [piece for piece in reversed(kept) if piece[0]] if lines > 0 else []


def _records(file: BinaryIO) -> Iterator[tuple[bool, int, bytes]]:
    while len(header := file.read(_RECORD.size)) == _RECORD.size:
        is_error, start, length = _RECORD.unpack(header)
        data = file.read(length) if length <= LONGEST_RECORD else b""
        if len(data) != length:
            return
        yield bool(is_error), int(start), data


def _ends(file: BinaryIO) -> Iterator[tuple[int, int]]:
    """Where each whole record ends, in the file and in all output."""
    for _, start, data in _records(file):
        yield file.tell(), start + len(data)
