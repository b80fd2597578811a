"""Rate limits of one process: a bucket for each caller and each project, in memory.

Where N processes serve, a caller gets through N times as much at most. What must hold however many serve is counted in
storage: shells a user, places in line, caps.
"""

from __future__ import annotations

from collections import OrderedDict
from datetime import datetime
from threading import Lock

from shared.domain.rate import Bucket, Limit, drawn

MOST_BUCKETS = 20_000
"""More are never kept: those longest unused go, which are those that have filled up longest."""


class Throttle:
    """Buckets by name. Safe to use from many threads."""

    def __init__(self, most: int = MOST_BUCKETS) -> None:
        self._buckets: OrderedDict[str, Bucket] = OrderedDict()
        self._most = most
        self._lock = Lock()

    def take(self, name: str, limit: Limit, now: datetime, cost: float = 1.0) -> float:
        """Draw from the bucket of this name. Return 0, or how many seconds to wait where it holds too little."""
        with self._lock:
            bucket, wait_s = drawn(self._buckets.get(name), limit, cost, now)
            self._buckets[name] = bucket
            self._buckets.move_to_end(name)
            while len(self._buckets) > self._most:
                self._buckets.popitem(last=False)
            return wait_s

    def left(self, name: str, limit: Limit) -> float:
        """Return what the bucket held when it was last drawn from; all that it can hold where it never was."""
        with self._lock:
            bucket = self._buckets.get(name)
            return limit.per_minute if bucket is None else bucket.left
