"""Messages in memory: those that can be seen wait in the inbox of their instance, the others for their time.

Nothing is polled: a heap knows the next due time, and an instance without a message costs nothing.
"""

import asyncio
import heapq
from collections import deque
from collections.abc import Callable, Collection, Iterable

from localcloud.durable.ports import Clock
from localcloud.durable.rows import Message


class Mailroom:
    """Delivers messages; tells of each instance that has got one."""

    def __init__(self, clock: Clock, on_mail: Callable[[str], None]) -> None:
        self._clock = clock
        self._on_mail = on_mail
        self._inboxes: dict[str, deque[Message]] = {}
        self._later: list[tuple[object, int, Message]] = []
        self._changed = asyncio.Event()
        self._waiting = False

    def deliver(self, messages: Iterable[Message]) -> None:
        """Put each message where it belongs now."""
        now = self._clock.now()
        for message in messages:
            if message.visible_at <= now:
                self._show(message)
            else:
                heapq.heappush(self._later, (message.visible_at, message.id, message))
                if self._later[0][2] is message:
                    self._changed.set()

    def _show(self, message: Message) -> None:
        self._inboxes.setdefault(message.instance_id, deque()).append(message)
        self._on_mail(message.instance_id)

    def take(self, instance_id: str) -> list[Message]:
        """All that has come for an instance, oldest first; it is the taker's from now on."""
        return list(self._inboxes.pop(instance_id, ()))

    @property
    def is_waiting(self) -> bool:
        """Whether the next due time is known and waited for."""
        return self._waiting and not self._changed.is_set()

    def has_mail(self, instance_id: str) -> bool:
        return instance_id in self._inboxes

    def forget(self, instance_ids: Collection[str]) -> None:
        """Drop what is on its way to instances that were purged."""
        for instance_id in instance_ids:
            self._inboxes.pop(instance_id, None)
        self._later = [entry for entry in self._later if entry[2].instance_id not in instance_ids]
        heapq.heapify(self._later)

    async def show_what_comes_due(self) -> None:
        """Run for the engine's life."""
        while True:
            self._changed.clear()
            now = self._clock.now()
            while self._later and self._later[0][2].visible_at <= now:
                self._show(heapq.heappop(self._later)[2])
            await self._wait_for_next()

    async def _wait_for_next(self) -> None:
        changed = asyncio.ensure_future(self._changed.wait())
        waits: set[asyncio.Future[object]] = {changed}  # type: ignore[arg-type]  # a future of bool is awaited only
        if self._later:
            waits.add(asyncio.ensure_future(self._clock.sleep_until(self._later[0][2].visible_at)))
        self._waiting = True
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._waiting = False
            for wait in waits:
                wait.cancel()
