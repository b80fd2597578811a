"""Output that was not shown, because a program on a terminal prints on and never waits for whoever looks on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from devboxgpu.notices import Notices

QUIET_S = 1.0
MEGABYTE = 1_000_000


class Skipped:
    """Tells how much it was, once no more of it comes."""

    def __init__(self, notices: Notices, *, is_hidden: Callable[[], bool], redraw: Callable[[], None]) -> None:
        self._notices, self._is_hidden, self._redraw = notices, is_hidden, redraw
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
        if not self._is_hidden():
            said = f"{count / MEGABYTE:.1f} MB of output are left out: they came faster than the connection carries"
            self._notices.aside(said)
            self._redraw()
