"""A Windows console that is closed, a log-off, a shutdown: what SIGHUP is elsewhere, with five seconds to go."""

from __future__ import annotations

import time
from collections.abc import Callable

from devboxgpu.console.kernel import CTRL_CLOSE, CTRL_LOGOFF, CTRL_SHUTDOWN, Kernel

GRACE_S = 4.8
"""The system ends the process after about 5 s, or as soon as the handler returns."""


def watch_closing(
    kernel: Kernel,
    hang_up: Callable[[], None],
    restore: Callable[[], None],
    *,
    wait: Callable[[float], None] = time.sleep,
) -> bool:
    """Calls `hang_up` when the console closes, and holds the end off while the shell is closed; whether it is watched.

    The process ends when it has finished, this thread with it: waiting longer than that is not possible.
    """

    def heard(event: int) -> bool:
        if event not in {CTRL_CLOSE, CTRL_LOGOFF, CTRL_SHUTDOWN}:
            return False  # Ctrl-C and Ctrl-Break are signals, which Python hears
        hang_up()
        wait(GRACE_S)
        restore()
        return True

    return kernel.watch_closing(heard)
