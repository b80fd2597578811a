"""The thread of each process that brings its refused attempts into the audit, a second after they were made."""

from __future__ import annotations

import logging
from collections.abc import Callable
from threading import Event, Thread

from activities.refusing import write_refusals
from shared.ports.world import World

log = logging.getLogger("devboxgpu.refusals")

EVERY_S = 1.0


class RefusalWriter:
    """Begins with the first call of `begin`.

    It ends with the process, of whose end the platform tells nobody: what was counted since the last time is lost then.
    """

    def __init__(self, ports: Callable[[], World], *, every_s: float = EVERY_S) -> None:
        self._ports, self._every_s = ports, every_s
        self._thread: Thread | None = None
        self._over = Event()

    def begin(self) -> None:
        """Start the thread unless it runs. Two that start it at once make two, which is harmless."""
        if self._thread is None:
            self._thread = Thread(target=self._run, name="refusals", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """End the thread, and wait until it has ended."""
        self._over.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        while not self._over.wait(self._every_s):
            try:
                write_refusals(self._ports())
            except Exception:  # this thread must outlive whatever goes wrong in one round
                log.exception("refusals.failed")
