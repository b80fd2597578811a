"""Tells where the event loop is blocked, while async functions run: one that blocks stops all others and the host."""

import asyncio
import logging
import sys
import threading
import time
import traceback
from pathlib import Path

_LOOK_S = 1.0
_PATIENCE_S = 2.0
_log = logging.getLogger("host.worker")


class LoopWatch:
    """Looks from a thread of its own, about once a second, and only while an async function runs.

    `patience_s` is how long the loop may do nothing else before it is told of.
    """

    def __init__(self, root: Path, *, patience_s: float = _PATIENCE_S) -> None:
        self._root = root
        self._patience_s = patience_s
        self._calls = 0
        self._is_busy = threading.Event()
        self._has_ended = threading.Event()
        self._thread: threading.Thread | None = None

    def begin(self) -> None:
        """Note on the loop that an async function begins."""
        self._calls += 1
        self._is_busy.set()
        if self._thread is None:
            place = (asyncio.get_running_loop(), threading.get_ident())
            self._thread = threading.Thread(target=self._watch, args=place, daemon=True, name="loop-watch")
            self._thread.start()

    def end(self) -> None:
        """Note that one has ended."""
        self._calls -= 1
        if not self._calls:
            self._is_busy.clear()

    def close(self) -> None:
        """Look no more."""
        self._has_ended.set()
        self._is_busy.set()

    def _watch(self, loop: asyncio.AbstractEventLoop, thread_id: int) -> None:
        while True:
            self._is_busy.wait()
            if self._has_ended.wait(_LOOK_S):
                return
            answered = threading.Event()
            begun = time.monotonic()
            try:
                loop.call_soon_threadsafe(answered.set)
            except RuntimeError:  # the loop is closed
                return
            if not answered.wait(self._patience_s):
                place = self._place(thread_id)
                _log.warning("the loop is blocked at %s: nothing else runs or is answered meanwhile; await, or "
                             "make it a plain def", place)  # fmt: skip
                answered.wait()
                _log.warning("the loop was blocked for %.1f s at %s", time.monotonic() - begun, place)

    def _place(self, thread_id: int) -> str:
        """What the loop's thread does now: the innermost line of the app, or of whatever runs."""
        frames = traceback.extract_stack(sys._current_frames().get(thread_id))
        own = [frame for frame in frames if Path(frame.filename).is_relative_to(self._root)]
        at = (own or frames)[-1]
        return f"{Path(at.filename).name}:{at.lineno} in {at.name}"
