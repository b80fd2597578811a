"""Carries events to endpoints: attempts, waits, accidents, dead letters.

What is on its way lives in memory: an event that is lost with the process is one of the losses that the app must bear
anyway (DESIGN.md section 7: late, twice, out of order, or never).
"""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict, deque
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

import aiohttp

from localcloud.event_grid.faults import DeliveryFaults
from localcloud.event_grid.retry import RetrySchedule, is_delivered, is_hopeless
from localcloud.event_grid.schemas import Event, EventSchema, event_id, in_schema
from localcloud.event_grid.subscriptions import Subscription

ANSWER_TIMEOUT_S = 30
REORDER_PATIENCE_S = 1.0
KEPT_DEAD_LETTERS = 10_000


class Outcome(StrEnum):
    """What became of a delivery, or what it has come to so far."""

    DELIVERED = "Delivered"
    RETRYING = "Retrying"
    DEAD_LETTERED = "DeadLettered"
    DROPPED = "Dropped"


@dataclass(slots=True, kw_only=True)
class Delivery:
    """A batch on its way to a subscription, with what its attempts were answered (None: nobody answered)."""

    subscription: Subscription
    events: list[Event]
    published_at: datetime
    answers: list[int | None] = field(default_factory=list)
    outcome: Outcome = Outcome.RETRYING
    tried: asyncio.Event = field(default_factory=asyncio.Event)

    def report(self) -> dict[str, object]:
        return {
            "subscription": self.subscription.name,
            "eventIds": [event_id(event) for event in self.events],
            "outcome": self.outcome,
            "statusCodes": self.answers,
        }


class Courier:
    """Delivers at least once, in no promised order; a failed batch is tried again as a whole."""

    def __init__(
        self,
        *,
        http: aiohttp.ClientSession,
        faults: DeliveryFaults,
        schedule: RetrySchedule,
        now: Callable[[], datetime],
    ) -> None:
        self._http = http
        self._faults = faults
        self._schedule = schedule
        self._now = now
        self._tasks: set[asyncio.Task[None]] = set()
        self._held: dict[str, list[Delivery]] = defaultdict(list)
        self.dead_letters: deque[Event] = deque(maxlen=KEPT_DEAD_LETTERS)

    def send(self, subscription: Subscription, events: list[Event]) -> list[Delivery]:
        """Set a batch on its way and return its deliveries: one, or two where the batch is doubled."""
        fate = self._faults.fate_of(events[0])
        deliveries = [self._new_delivery(subscription, events) for _ in range(fate.copies)]
        for delivery in deliveries:
            if fate.dropped:
                delivery.outcome = Outcome.DROPPED
                delivery.tried.set()
            elif fate.reorder_window > 1:
                self._hold(delivery, fate.reorder_window)
            else:
                self._spawn(self._carry(delivery, fate.delay_s))
        return deliveries

    async def stop(self) -> None:
        """Give up everything that is still on its way."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _new_delivery(self, subscription: Subscription, events: list[Event]) -> Delivery:
        return Delivery(subscription=subscription, events=events, published_at=self._now())

    def _hold(self, delivery: Delivery, window: int) -> None:
        name = delivery.subscription.name
        held = self._held[name]
        held.append(delivery)
        if len(held) >= window:
            self._release(name)
        elif len(held) == 1:
            self._spawn(self._release_later(name))

    async def _release_later(self, name: str) -> None:
        await asyncio.sleep(REORDER_PATIENCE_S)
        self._release(name)

    def _release(self, name: str) -> None:
        held = self._held.pop(name, [])
        if held:
            self._spawn(self._carry_one_by_one(self._faults.disordered(held)))

    async def _carry_one_by_one(self, deliveries: list[Delivery]) -> None:
        for delivery in deliveries:
            self._spawn(self._carry(delivery, 0))
            await delivery.tried.wait()

    async def _carry(self, delivery: Delivery, delay_s: float) -> None:
        loop = asyncio.get_running_loop()
        subscription = delivery.subscription
        gives_up_at = loop.time() + self._schedule.time_to_live_s(subscription.event_ttl_min)
        await asyncio.sleep(delay_s)
        while True:
            status = await self._attempt(delivery)
            delivery.answers.append(status)
            wait_s = self._schedule.wait_s(failures=len(delivery.answers), status=status)
            if is_delivered(status):
                delivery.outcome = Outcome.DELIVERED
            elif is_hopeless(status):
                self._bury(delivery, "EndpointRefused")
            elif len(delivery.answers) >= subscription.max_delivery_attempts:
                self._bury(delivery, "MaxDeliveryAttemptsExceeded")
            elif loop.time() + wait_s > gives_up_at:
                self._bury(delivery, "TimeToLiveExceeded")
            delivery.tried.set()
            if delivery.outcome is not Outcome.RETRYING:
                return
            await asyncio.sleep(wait_s)

    async def _attempt(self, delivery: Delivery) -> int | None:
        """Post the batch once and return the answer's status, or None where none came in time."""
        subscription = delivery.subscription
        events = [in_schema(event, subscription.schema, now=self._now()) for event in delivery.events]
        headers = _headers(delivery)
        body: Any = events
        if subscription.schema is EventSchema.CLOUD_EVENT and subscription.max_events_per_batch == 1:
            body = events[0]
        timeout = aiohttp.ClientTimeout(total=ANSWER_TIMEOUT_S)
        try:
            post = self._http.post(
                subscription.endpoint_url, data=json.dumps(body).encode(), headers=headers, timeout=timeout
            )
            async with post as answer:
                return answer.status
        except (aiohttp.ClientError, TimeoutError):
            return None

    def _bury(self, delivery: Delivery, reason: str) -> None:
        delivery.outcome = Outcome.DEAD_LETTERED
        now = _wire_time(self._now())
        for event in delivery.events:
            self.dead_letters.append(
                event
                | {
                    "deadLetterReason": reason,
                    "deliveryAttempts": len(delivery.answers),
                    "lastDeliveryOutcome": _last_outcome(delivery.answers[-1]),
                    "publishTime": _wire_time(delivery.published_at),
                    "lastDeliveryAttemptTime": now,
                    "subscription": delivery.subscription.name,
                }
            )

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _headers(delivery: Delivery) -> dict[str, str]:
    subscription = delivery.subscription
    content_type = "application/json"
    if subscription.schema is EventSchema.CLOUD_EVENT:
        batch = "-batch" if subscription.max_events_per_batch > 1 else ""
        content_type = f"application/cloudevents{batch}+json"
    return {
        "Content-Type": f"{content_type}; charset=utf-8",
        "aeg-event-type": "Notification",
        "aeg-subscription-name": subscription.name.upper(),
        "aeg-delivery-count": str(len(delivery.answers)),
        "aeg-data-version": str(delivery.events[0].get("dataVersion", "")),
        "aeg-metadata-version": "1",
    }


def _last_outcome(status: int | None) -> str:
    return "TimedOutOrUnreachable" if status is None else f"Http{status}"


def _wire_time(when: datetime) -> str:
    return when.isoformat().replace("+00:00", "Z")
