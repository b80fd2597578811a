"""Clocks: the system's, and one that tests move by hand."""

import asyncio
import heapq
from datetime import UTC, datetime, timedelta


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    async def sleep_until(self, when: datetime) -> None:
        """Sleep in stretches, since a set-back wall clock or a suspended machine would make one long sleep wrong."""
        longest_s = 60.0
        while (left := (when - self.now()).total_seconds()) > 0:  # noqa: ASYNC110  # time, not an event, ends it
            await asyncio.sleep(min(left, longest_s))


class VirtualClock:
    """A clock that stands still until it is moved: days of timers run in milliseconds, always in the same order."""

    def __init__(self, start: datetime) -> None:
        self._now = start
        self._sleepers: list[tuple[datetime, int, asyncio.Future[None]]] = []
        self._count = 0

    def now(self) -> datetime:
        return self._now

    async def sleep_until(self, when: datetime) -> None:
        if when <= self._now:
            return
        self._count += 1
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (when, self._count, woken))
        await woken

    def next_due(self) -> datetime | None:
        """When the first sleeper wants to wake; None where nobody sleeps."""
        while self._sleepers and self._sleepers[0][2].done():
            heapq.heappop(self._sleepers)
        return self._sleepers[0][0] if self._sleepers else None

    def advance(self, by: timedelta) -> None:
        self.advance_to(self._now + by)

    def advance_to(self, when: datetime) -> None:
        """Move on and wake whoever is due; an instant of the past changes nothing."""
        self._now = max(self._now, when)
        while self._sleepers and self._sleepers[0][0] <= self._now:
            woken = heapq.heappop(self._sleepers)[2]
            if not woken.done():
                woken.set_result(None)
