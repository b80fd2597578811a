"""Past output of a program, with a place in it for whoever looks on: the newest bytes are kept, the oldest let go."""

from __future__ import annotations

from typing import NamedTuple

TERMINAL_KEEPS = 2 * 1024 * 1024


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

    def reader(self, offset: int) -> Reader:
        """Another look at it, from that offset in all output of the program; the looker-on's place stays."""
        raise NotImplementedError

    def close(self) -> None:
        """Nothing is kept any more."""


class Reader:
    """Reads what is kept without taking anything over; there may be several."""

    def __init__(self, offset: int) -> None:
        self.offset = offset
        """Of the next byte that `take` gives, if it is still kept then."""
        self.skipped = 0
        """How many bytes were let go before they were read."""

    def take(self, most: int) -> Piece | None:
        """What comes next, at most so much; None at the end."""
        raise NotImplementedError

    def _come_to(self, offset: int) -> None:
        self.skipped += max(0, offset - self.offset)
        self.offset = max(offset, self.offset)


class Ring(Kept):
    """In memory; for a terminal, which knows no error output."""

    def __init__(self, keeps: int = TERMINAL_KEEPS) -> None:
        self._keeps = keeps
        self._bytes = bytearray()
        self._at = 0
        self._skipped = 0
        self.begins = 0
        """The offset of the oldest byte that is kept."""

    @property
    def waiting(self) -> int:
        """How many bytes the looker-on has not taken yet."""
        return len(self._bytes) - self._at

    def append(self, data: bytes, *, is_error: bool = False) -> None:
        self._bytes += data
        too_many = len(self._bytes) - self._keeps
        if too_many > self._keeps // 2:  # not for every byte: letting go moves what stays
            del self._bytes[:too_many]
            self.begins += too_many
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

    def since(self, offset: int, most: int) -> bytes:
        """What is kept from an offset that is not before `begins`."""
        return bytes(self._bytes[offset - self.begins : offset - self.begins + most])

    def reader(self, offset: int) -> Reader:
        return RingReader(self, offset)

    def close(self) -> None:
        self.begins += len(self._bytes)
        self._bytes = bytearray()
        self._at = 0


class RingReader(Reader):
    def __init__(self, ring: Ring, offset: int) -> None:
        super().__init__(offset)
        self._ring = ring

    def take(self, most: int) -> Piece | None:
        self._come_to(self._ring.begins)
        data = self._ring.since(self.offset, most)
        self.offset += len(data)
        return Piece(data, is_error=False) if data else None
