"""Telemetry that nobody waits for: a queue, and one thread that makes the exporter and feeds it.

OpenTelemetry's SDK and an exporter are imported by that thread, so neither the start of a process nor a request waits
for an import or a network. What cannot be taken is dropped and counted in the log: telemetry holds up nothing.
"""

from __future__ import annotations

import atexit
import logging
import threading
from collections.abc import Callable, Iterable
from itertools import count
from queue import Full, Queue
from typing import Protocol

from shared.domain.measures import Measure
from shared.ports.telemetry import Span

log = logging.getLogger("devboxgpu.telemetry")

MOST_QUEUED = 20_000
CLOSING_S = 5.0


class Sink(Protocol):
    """What exports. Called by one thread only."""

    def span(self, span: Span) -> None: ...

    def measure(self, measure: Measure) -> None: ...

    def close(self) -> None:
        """Export what is left."""


class QueuedTelemetry:
    """Hands records to a sink, which is made on the first record and in the thread that feeds it."""

    def __init__(self, make_sink: Callable[[], Sink], most_queued: int = MOST_QUEUED) -> None:
        self._make_sink = make_sink
        self._queue: Queue[Span | Measure | None] = Queue(most_queued)
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()
        self._drops = count(1)

    def span(self, span: Span) -> None:
        self._offer(span)

    def measure(self, measures: Iterable[Measure]) -> None:
        for one in measures:
            self._offer(one)

    def close(self) -> None:
        """Export what is queued; a sink that hangs is left alone after some seconds."""
        if self._thread is None:
            return
        try:
            self._queue.put(None, timeout=CLOSING_S)
        except Full:
            return
        self._thread.join(CLOSING_S)

    def _offer(self, record: Span | Measure) -> None:
        if self._thread is None:
            self._begin()
        try:
            self._queue.put_nowait(record)
        except Full:
            dropped = next(self._drops)
            if dropped & (dropped - 1) == 0:  # told of the 1st, 2nd, 4th, 8th ...: a flood is no flood of lines
                log.warning("telemetry.dropped records=%d", dropped)

    def _begin(self) -> None:
        with self._starting:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="telemetry", daemon=True)
                self._thread.start()
                atexit.register(self.close)

    def _run(self) -> None:
        try:
            sink = self._make_sink()
        except Exception:  # a wrong connection string, a broken package: the service goes on without telemetry
            log.exception("telemetry.unusable")
            sink = None
        while (record := self._queue.get()) is not None:
            if sink is not None:
                _feed(sink, record)
        if sink is not None:
            sink.close()


def _feed(sink: Sink, record: Span | Measure) -> None:
    try:
        sink.span(record) if isinstance(record, Span) else sink.measure(record)
    except Exception:  # a failure of the exporter, of whatever kind, is none of the service's
        log.exception("telemetry.lost")
