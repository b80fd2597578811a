"""Runs the app's timer functions when they are due: never two runs of one at a time, and one for all that were missed.

The rules are those of the vendor's timer extension (reference/functions-host.md 4.4, durable-measured.md 6).
"""

import asyncio
import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from azure.functions.meta import Datum

from localcloud.functions_host.clock import Clock
from localcloud.functions_host.functions import AppFunction
from localcloud.functions_host.inputs import gather_inputs
from localcloud.functions_host.invocation import current_invocation
from localcloud.functions_host.schedules import Schedule, is_often
from localcloud.functions_host.timer_status import TimerStatus, TimerStatusStore
from localcloud.functions_host.worker import InvocationFailed, Worker, new_invocation

_NEVER_RAN = "0001-01-01T00:00:00+00:00"
_log = logging.getLogger("host.timers")


@dataclass(frozen=True, slots=True, kw_only=True)
class Timer:
    """A timer function with its schedule, read."""

    function: AppFunction
    schedule: Schedule

    @property
    def runs_at_start(self) -> bool:
        return bool(self.function.trigger.settings.get("runOnStartup", False))

    def is_monitored(self, now: datetime) -> bool:
        """Whether runs are noted, so that a missed one is made up for; not for timers due more than once a minute."""
        wanted = self.function.trigger.settings.get("useMonitor")
        return wanted is not False and not is_often(self.schedule, now)


class TimerTriggers:
    """All timers of the app."""

    def __init__(
        self, *, timers: Sequence[Timer], worker: Worker, store: TimerStatusStore, clock: Clock, client_binding: str
    ) -> None:
        self._timers = {timer.function.name: timer for timer in timers}
        self._worker = worker
        self._store = store
        self._clock = clock
        self._client_binding = client_binding
        self._loops: list[asyncio.Task[None]] = []
        self._running: set[asyncio.Task[TimerStatus | None]] = set()
        self._locks: dict[str, asyncio.Lock] = {}

    def start(self) -> None:
        """Begin all schedules."""
        for timer in self._timers.values():
            if timer.function.is_available:
                self._loops.append(asyncio.create_task(self._follow(timer), name=f"timer {timer.function.name}"))

    async def stop(self, drain_s: float) -> None:
        """Begin no more runs; wait for the ones that run, for so many seconds at most."""
        for loop in self._loops:
            loop.cancel()
        await asyncio.gather(*self._loops, return_exceptions=True)
        if self._running:
            await asyncio.wait(self._running, timeout=drain_s)

    async def run_now(self, function: AppFunction) -> None:
        """Run a timer that is not due, as the admin API asks; its schedule stays as it is."""
        timer = self._timers[function.name]
        status = self._store.read(function.name) if timer.is_monitored(self._clock.now()) else None
        await self._call(timer, status, is_past_due=False)

    async def _follow(self, timer: Timer) -> None:
        now = self._clock.now()
        is_monitored = timer.is_monitored(now)
        status = self._status_at_start(timer, now) if is_monitored else None
        is_past_due = status is not None and status.next_at is not None and now > status.next_at
        if is_past_due or timer.runs_at_start:
            status = await self._run(timer, status, now, is_past_due=is_past_due)
        due = timer.schedule.next_after(now)
        while due is not None:
            await self._clock.sleep_until(due)
            status = await self._run(timer, status, due, is_past_due=False)
            # Times that passed while the function ran are left out.
            due = timer.schedule.next_after(max(due, self._clock.now()))

    def _status_at_start(self, timer: Timer, now: datetime) -> TimerStatus:
        """What was kept, made to fit the schedule where that has changed."""
        name = timer.function.name
        status = self._store.read(name)
        expected = timer.schedule.next_after(status.last_at or status.updated_at) if status else None
        if status is not None and status.next_at == expected:
            return status
        if expected is None or now > expected:
            expected = timer.schedule.next_after(now)
        status = TimerStatus(last_at=None, next_at=expected, updated_at=now)
        self._store.write(name, status)
        return status

    async def _run(
        self, timer: Timer, status: TimerStatus | None, due: datetime, *, is_past_due: bool
    ) -> TimerStatus | None:
        # A task of its own: stopping the schedule must not cut off a run that has begun.
        run = asyncio.create_task(self._call_and_note(timer, status, due, is_past_due=is_past_due))
        self._running.add(run)
        run.add_done_callback(self._running.discard)
        return await asyncio.shield(run)

    async def _call_and_note(
        self, timer: Timer, status: TimerStatus | None, due: datetime, *, is_past_due: bool
    ) -> TimerStatus | None:
        await self._call(timer, status, is_past_due=is_past_due)
        if status is None:
            return None
        noted = TimerStatus(last_at=due, next_at=timer.schedule.next_after(due), updated_at=due)
        self._store.write(timer.function.name, noted)
        return noted

    async def _call(self, timer: Timer, status: TimerStatus | None, *, is_past_due: bool) -> None:
        function = timer.function
        invocation = new_invocation(function)
        token = current_invocation.set(invocation)
        try:
            inputs = gather_inputs(function, _datum(status, is_past_due=is_past_due), self._client_binding)
            async with self._locks.setdefault(function.name, asyncio.Lock()):
                await self._worker.call(function, inputs, invocation)
        except InvocationFailed as error:
            _log.error("timer run failed: %s", error.summary)
        else:
            # A run that went well is of no interest, and a timer may be due every second.
            _log.log(logging.INFO if is_past_due else logging.DEBUG, "timer run done%s", " (past due)" * is_past_due)
        finally:
            current_invocation.reset(token)


def _datum(status: TimerStatus | None, *, is_past_due: bool) -> Datum:
    known = status and {
        "Last": status.last_at.isoformat() if status.last_at else _NEVER_RAN,
        "Next": status.next_at.isoformat() if status.next_at else _NEVER_RAN,
        "LastUpdated": status.updated_at.isoformat(),
    }
    info = {"Schedule": {"AdjustForDST": True}, "ScheduleStatus": known, "IsPastDue": is_past_due}
    return Datum(json.dumps(info), "json")
