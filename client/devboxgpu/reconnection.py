"""What a person is told of a connection that breaks and comes back: nothing while it is short, then one line each."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from devboxgpu.notices import Notices
from devboxgpu.wording import duration

WORTH_TELLING_S = 1.0


class Reconnection:
    """Takes what a link, or a Remote without one, tells of its connection."""

    def __init__(self, notices: Notices, *, otherwise: str = "") -> None:
        """`otherwise`: what is different afterwards; empty where everything goes on as if nothing had happened."""
        self._notices, self._otherwise = notices, otherwise
        self._telling: asyncio.TimerHandle | None = None
        self.is_told = False
        """Whether the person has been told that the connection is lost, and how to give up."""
        self.is_hidden: Callable[[], bool] = lambda: False
        """Whether a line would spoil what is on the screen."""
        self.cut_off: Callable[[], None] = lambda: None
        """Called when what was on the screen has nobody any more who would put it in order."""
        self.redraw: Callable[[], None] = lambda: None
        """Called when a line has been written where the remote did not expect one."""

    def lost(self, _reason: str) -> None:
        if self._otherwise:
            self.cut_off()
        self._telling = asyncio.get_running_loop().call_later(WORTH_TELLING_S, self._tell)

    def back(self, seconds: float) -> None:
        self.stop()
        if self.is_told or self._otherwise or not self.is_hidden():
            self._notices.aside(f"reconnected after {duration(seconds)}{self._otherwise}")
            self.redraw()
        self.is_told = False

    def stop(self) -> None:
        if self._telling is not None:
            self._telling.cancel()

    def _tell(self) -> None:
        self.is_told = True
        self._notices.aside("connection lost, reconnecting (Ctrl-C gives up) ...")
