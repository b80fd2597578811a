"""The calls that run now, and functionTimeout: the vendor's host replaces the worker when one call runs too long.

All that runs in the worker then fails with it (reference/durable-measured.md 4). Here functions run in the host's own
process: a task is cancelled, but a thread cannot be ended and goes on in the background; only its outcome is dropped.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from localcloud.functions_host.time_spans import format_time_span

_log = logging.getLogger("host.worker")


class FunctionTimedOut(Exception):
    """A call ran longer than functionTimeout allows."""


class WorkerReplaced(Exception):
    """A call ran beside one that timed out, and was lost with the worker."""


@dataclass(slots=True, kw_only=True, eq=False)
class RunningCall:
    """One call; `loss` says why its outcome does not count, and is None while it does."""

    function: str
    invocation_id: str
    task: asyncio.Task[object]
    ends_at_s: float
    loss: FunctionTimedOut | WorkerReplaced | None = None


class RunningCalls:
    """All calls of one worker. `on_replaced` is called when the worker has to be replaced; no limit, no replacement."""

    def __init__(self, limit: timedelta | None, on_replaced: Callable[[], None]) -> None:
        self._limit = limit
        self._on_replaced = on_replaced
        self._calls: dict[RunningCall, None] = {}  # in the order of their ends, for all have the same limit
        self._is_armed = False

    def begin(self, function: str, invocation_id: str) -> RunningCall:
        """Note a call that the present task is about to make."""
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None, "calls are made by tasks"
        limit_s = self._limit.total_seconds() if self._limit is not None else 0.0
        call = RunningCall(function=function, invocation_id=invocation_id, task=task, ends_at_s=loop.time() + limit_s)
        self._calls[call] = None
        if self._limit is not None and not self._is_armed:
            self._is_armed = True
            loop.call_at(call.ends_at_s, self._look)
        return call

    def end(self, call: RunningCall) -> None:
        """Note that a call has ended."""
        self._calls.pop(call, None)

    def _look(self) -> None:
        """Replace the worker if the oldest call has run too long; else look again when it will have."""
        loop = asyncio.get_running_loop()
        oldest = next(iter(self._calls), None)
        self._is_armed = oldest is not None and oldest.ends_at_s > loop.time()
        if oldest is None:
            return
        if self._is_armed:
            loop.call_at(oldest.ends_at_s, self._look)
        else:
            self._replace(oldest)

    def _replace(self, late: RunningCall) -> None:
        assert self._limit is not None, "without a limit nobody looks"
        limit = format_time_span(self._limit)
        lost, self._calls = self._calls, {}
        _log.error(
            "function '%s' (call %s) ran longer than functionTimeout in host.json allows, %s; the worker is replaced, "
            "and %d other calls fail with it. A thread cannot be ended: a sync function goes on in the background",
            late.function, late.invocation_id[:8], limit, len(lost) - 1,
        )  # fmt: skip
        for call in lost:
            call.loss = WorkerReplaced(f"the worker was replaced, for function '{late.function}' had timed out")
            call.task.cancel()
        late.loss = FunctionTimedOut(f"Timeout value of {limit} was exceeded by function: Functions.{late.function}")
        self._on_replaced()
