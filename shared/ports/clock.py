"""The clock: the only place that reads it."""

from __future__ import annotations

import time
from datetime import UTC, datetime


def utc_now() -> datetime:
    """Return the present instant, aware and in UTC."""
    return datetime.now(UTC)


def wait(seconds: float) -> None:
    """Hold this thread for so many seconds. For short back-offs in ports only; stories wait by timers."""
    time.sleep(seconds)


def elapsed_s() -> float:
    """Return seconds on a clock that only moves forward, for time limits."""
    return time.monotonic()
