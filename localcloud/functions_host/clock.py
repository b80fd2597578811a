"""The wall clock behind timers, as the engine and the timer triggers are handed it."""

import asyncio
from datetime import UTC, datetime
from typing import Protocol

_LONGEST_NAP_S = 60.0


class Clock(Protocol):
    """Time, so that tests can run days in milliseconds."""

    def now(self) -> datetime:
        """The time now, aware and in UTC."""
        ...

    async def sleep_until(self, when: datetime) -> None:
        """Return once `now()` is `when` or later."""
        ...


class SystemClock:
    """The machine's own clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    async def sleep_until(self, when: datetime) -> None:
        # Long waits are cut up, so that a clock that is set or a laptop that slept is noticed within a minute.
        while (left_s := (when - self.now()).total_seconds()) > 0:  # noqa: ASYNC110 - it is the clock
            await asyncio.sleep(min(left_s, _LONGEST_NAP_S))
