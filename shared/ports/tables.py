"""What the control plane needs of a table store: reads, range scans, and one transaction a partition."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from shared.domain.records import Row

R = TypeVar("R", bound=Row)
T = TypeVar("T")
TABLES = ("core", "history", "usage", "audit", "seen", "lookup", "capacity", "seals")
LARGEST_TRANSACTION = 100
"""Changes that a transaction takes (Azure: reliability.md 3.1)."""


def by_transaction(items: Sequence[T]) -> Iterator[Sequence[T]]:
    """Yield these in their order, as many at a time as a transaction takes."""
    for start in range(0, len(items), LARGEST_TRANSACTION):
        yield items[start : start + LARGEST_TRANSACTION]


class StorageUnavailable(Exception):
    """Storage did not answer in time. What was asked may or may not have happened: unknown."""


@dataclass(frozen=True, slots=True)
class Stored(Generic[R]):
    """A row as it was read, with the key and the ETag that a conditional write needs."""

    key: str
    row: R
    etag: str


@dataclass(frozen=True, slots=True)
class Insert:
    """Write a row that must not be there yet."""

    key: str
    row: Row


@dataclass(frozen=True, slots=True)
class Update:
    """Write a row that must still be as it was read."""

    key: str
    row: Row
    etag: str


@dataclass(frozen=True, slots=True)
class Delete:
    """Remove a row that must still be as it was read."""

    key: str
    etag: str


Change = Insert | Update | Delete


class Tables(Protocol):
    """What the control plane needs of a table store."""

    def read(self, table: str, partition: str, key: str, kind: type[R]) -> Stored[R] | None:
        """Return the row, None where there surely is none; raise StorageUnavailable where that is not known."""

    def scan(
        self, table: str, partition: str, keys: tuple[str, str], kind: type[R], *, most: int | None = None
    ) -> list[Stored[R]]:
        """Return the partition's rows from the first key up to, not including, the second, in order of keys.

        `most`: no more than so many of them, from the first (Azure: a thousand in one transaction).
        """

    def scan_all(
        self, table: str, keys: tuple[str, str], kind: type[R], *, where: tuple[str, bool] | None = None
    ) -> list[tuple[str, Stored[R]]]:
        """Return (partition, row) for the rows of this key range in every partition: for sweeps only.

        `where` names a column and the value that it must have: what is of no interest stays where it is.
        """

    def commit(self, table: str, partition: str, changes: Sequence[Change]) -> bool:
        """Carry out all changes at once, or none. Return False where a row was not as it was read.

        Raise StorageUnavailable where storage does not answer; then a later read tells what happened.
        """

    def update(self, table: str, partition: str, change: Update) -> str | None:
        """Write one row and return its new ETag; None where it was not as it was read. Raise as `commit` does."""
