"""When the terminal last carried a byte, in either direction: what keeps a session from being called idle."""

from __future__ import annotations

import time
from collections.abc import Callable


class Activity:
    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._last = monotonic()

    def happened(self) -> None:
        self._last = self._monotonic()

    def seconds_ago(self) -> int:
        return int(self._monotonic() - self._last)
