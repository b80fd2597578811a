"""Output that is left out, because a program on a terminal does not wait long for who does not take it."""

from __future__ import annotations

import asyncio

from devboxgpu.notices import Notices
from devboxgpu.reconnection import Reconnection

QUIET_S = 1.0
MEGABYTE = 1_000_000


class Skipped:
    """Tells how much it was, once no more of it comes."""

    def __init__(self, notices: Notices, reconnection: Reconnection) -> None:
        """`reconnection` knows whether a line would spoil the screen, and how to have it drawn again."""
        self._notices, self._reconnection = notices, reconnection
        self._bytes = 0
        self._telling: asyncio.TimerHandle | None = None

    def add(self, count: int) -> None:
        self._bytes += count
        self.stop()
        self._telling = asyncio.get_running_loop().call_later(QUIET_S, self._tell)

    def stop(self) -> None:
        if self._telling is not None:
            self._telling.cancel()

    def _tell(self) -> None:
        count, self._bytes = self._bytes, 0
        if not self._reconnection.is_hidden():
            said = f"{count / MEGABYTE:.1f} MB of output are left out: they came faster than the connection carried"
            self._notices.aside(said)
            self._reconnection.redraw()
