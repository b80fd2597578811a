"""What keeps a session from being called idle: bytes of the terminal, and what the agent sees at work in the container.

Written by the loop that carries the bytes, read by the thread that renews the lease.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

FRESH_S = 90.0
"""How long what was seen in the container may be reported as so; after that it is not known."""
MOST_PROCESSES = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ActivityReport:
    """What a renewal tells. None: not known, which is never the same as none."""

    active_seconds_ago: int
    gpu_utilization_percent: float | None = None
    busy_processes: int | None = None

    def body(self) -> dict[str, object]:
        """The body of RenewLease; what is not known is left out."""
        told: dict[str, object] = {"activeSecondsAgo": self.active_seconds_ago}
        if self.gpu_utilization_percent is not None:
            told["gpuUtilizationPercent"] = self.gpu_utilization_percent
        if self.busy_processes is not None:
            told["busyProcesses"] = self.busy_processes
        return told


@dataclass(frozen=True, slots=True)
class _Seen:
    at_s: float
    gpu_percent: float | None
    busy: int | None


class Activity:
    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._last_s = monotonic()
        self._seen = _Seen(self._last_s, None, None)

    def happened(self) -> None:
        """A byte went through the terminal, in either direction."""
        self._last_s = self._monotonic()

    def observed(self, gpu_percent: float | None, busy: int | None, terminal_s: float | None = None) -> None:
        """What the agent has just told: see `status` in docs/agent.md. A figure that cannot be is not known.

        `terminal_s`: seconds since a byte went through any terminal of the container, another client's as well.
        """
        now_s = self._monotonic()
        percent = gpu_percent if gpu_percent is not None and 0 <= gpu_percent <= 100 else None
        count = busy if busy is not None and 0 <= busy <= MOST_PROCESSES else None
        self._seen = _Seen(now_s, percent, count)
        if terminal_s is not None and math.isfinite(terminal_s) and terminal_s >= 0:
            self._last_s = max(self._last_s, now_s - terminal_s)

    def seconds_ago(self) -> int:
        """Seconds since the last byte of a terminal."""
        return max(0, int(self._monotonic() - self._last_s))

    def report(self) -> ActivityReport:
        seen = self._seen
        if self._monotonic() - seen.at_s > FRESH_S:
            return ActivityReport(active_seconds_ago=self.seconds_ago())
        return ActivityReport(
            active_seconds_ago=self.seconds_ago(),
            gpu_utilization_percent=seen.gpu_percent,
            busy_processes=seen.busy,
        )
