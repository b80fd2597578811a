"""What became of a copy, counted while it goes on."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from devboxgpu.copying.entries import Trouble
from devboxgpu.wording import duration

BYTES_A_MB = 1_000_000


@dataclass(slots=True)
class Report:
    monotonic: Callable[[], float] = time.monotonic
    files: int = 0
    """Copied whole, and found so by their checksums."""
    moved_bytes: int = 0
    """Bytes that crossed the wire."""
    resumed_bytes: int = 0
    """Bytes that an earlier try had brought already."""
    unchanged: int = 0
    left_out: list[Trouble] = field(default_factory=list)
    """Not copied by a rule, which is no failure: special files, links that lead out of the tree."""
    failed: list[Trouble] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    """Files that something wrote to while they were copied."""
    planned_files: int = 0
    planned_bytes: int = 0
    began_at: float = 0.0

    def __post_init__(self) -> None:
        self.began_at = self.monotonic()

    def moved(self, size: int, was_there: bool) -> None:
        if was_there:
            self.resumed_bytes += size
        else:
            self.moved_bytes += size

    def found_same(self, size: int) -> None:
        """A file of the plan need not be copied: its bytes are at the other end."""
        self.unchanged += 1
        self.planned_files -= 1
        self.planned_bytes -= size

    @property
    def done_bytes(self) -> int:
        return self.moved_bytes + self.resumed_bytes

    def summary(self) -> str:
        """`12 files, 34.0 MB in 3.2 s (10.6 MB/s), checksums verified; 3 unchanged`."""
        seconds = max(self.monotonic() - self.began_at, 0.001)
        speed = f" ({megabytes(int(self.moved_bytes / seconds))}/s)" if self.moved_bytes else ""
        parts = [f"{count(self.files, 'file')}, {megabytes(self.moved_bytes)} in {duration(seconds)}{speed}"]
        if self.files:
            parts[0] += ", checksums verified"
        if self.resumed_bytes:
            parts.append(f"{megabytes(self.resumed_bytes)} were there from an earlier try")
        if self.unchanged:
            parts.append(f"{self.unchanged} unchanged")
        if self.left_out:
            parts.append(f"{len(self.left_out)} left out")
        if self.failed:
            parts.append(f"{len(self.failed)} failed")
        return "; ".join(parts)


def count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def megabytes(size: int) -> str:
    """`512 B`, `3.4 kB`, `34.0 MB`, `1.25 GB`: powers of ten, as disks are sold."""
    if size < 1000:
        return f"{size} B"
    if size < BYTES_A_MB:
        return f"{size / 1000:.1f} kB"
    if size < 1000 * BYTES_A_MB:
        return f"{size / BYTES_A_MB:.1f} MB"
    return f"{size / BYTES_A_MB / 1000:.2f} GB"
