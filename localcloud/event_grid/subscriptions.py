"""Who gets which events: subscriptions, their filters, and the file that keeps them over a restart."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from localcloud.event_grid.schemas import Event, EventSchema, event_type
from localcloud.whole_file import FOR_THE_OWNER, write_whole

MOST_ATTEMPTS = 30
LONGEST_TTL_MIN = 1440
LARGEST_BATCH = 5000
NUMBER_MEMBERS = {"maxEventsPerBatch", "maxDeliveryAttempts", "eventTimeToLiveInMinutes"}
MEMBERS = {"endpointUrl", "filter", "schema", "source"} | NUMBER_MEMBERS
FILTER_MEMBERS = {"includedEventTypes", "subjectBeginsWith", "subjectEndsWith"}

Word = TypeVar("Word", bound=StrEnum)


class SubscriptionState(StrEnum):
    """Only an active subscription is delivered to."""

    ACTIVE = "Active"
    AWAITING_MANUAL_ACTION = "AwaitingManualAction"


class Source(StrEnum):
    """Where the events of a subscription come from: Azure Resource Manager, or the app's own topic."""

    RESOURCES = "resources"
    TOPIC = "topic"


class SubscriptionError(Exception):
    """A subscription that cannot be made; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EventFilter:
    """Which events pass: all named types (any when none is named), and the subject's ends, compared without case."""

    included_event_types: tuple[str, ...] = ()
    subject_begins_with: str = ""
    subject_ends_with: str = ""

    def passes(self, event: Event) -> bool:
        if self.included_event_types and event_type(event).lower() not in self.included_event_types:
            return False
        subject = str(event.get("subject") or "").lower()
        return subject.startswith(self.subject_begins_with) and subject.endswith(self.subject_ends_with)


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    """A wish to be told. The endpoint's query may hold a key and is never shown."""

    name: str
    endpoint_url: str
    schema: EventSchema
    source: Source
    filter: EventFilter
    max_events_per_batch: int
    max_delivery_attempts: int
    event_ttl_min: int
    state: SubscriptionState
    definition: Mapping[str, Any]

    def shown(self) -> dict[str, object]:
        """Return what people may see."""
        visible = dict(self.definition) | {"endpointUrl": self.endpoint_url.partition("?")[0]}
        return {"name": self.name, "provisioningState": self.state, **visible}


def read_subscription(name: str, body: object) -> Subscription:
    """Return the subscription that the body describes, not yet validated, or raise SubscriptionError."""
    if not isinstance(body, dict):
        raise SubscriptionError("the body is a JSON object with endpointUrl")
    if unknown := set(body) - MEMBERS:
        raise SubscriptionError(f"unknown member {sorted(unknown)[0]}")
    url = str(body.get("endpointUrl", ""))
    if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).hostname:
        raise SubscriptionError("endpointUrl is an http or https address")
    return Subscription(
        name=name,
        endpoint_url=url,
        schema=_one_of(EventSchema, body, "schema", EventSchema.EVENT_GRID),
        source=_one_of(Source, body, "source", Source.RESOURCES),
        filter=_read_filter(body.get("filter") or {}),
        max_events_per_batch=_number(body, "maxEventsPerBatch", 1, LARGEST_BATCH),
        max_delivery_attempts=_number(body, "maxDeliveryAttempts", MOST_ATTEMPTS, MOST_ATTEMPTS),
        event_ttl_min=_number(body, "eventTimeToLiveInMinutes", LONGEST_TTL_MIN, LONGEST_TTL_MIN),
        state=SubscriptionState.AWAITING_MANUAL_ACTION,
        definition=body,
    )


class SubscriptionStore:
    """The subscriptions, kept in a private file because their endpoints hold keys."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: dict[str, Subscription] = {}
        if path.exists():
            for name, kept in json.loads(path.read_text()).items():
                read = read_subscription(name, kept["definition"])
                self._known[name] = replace(read, state=SubscriptionState(kept["state"]))

    def all(self) -> list[Subscription]:
        return list(self._known.values())

    def find(self, name: str) -> Subscription | None:
        return self._known.get(name)

    def keep(self, subscription: Subscription) -> None:
        self._known[subscription.name] = subscription
        self._write()

    def remove(self, name: str) -> bool:
        was_there = self._known.pop(name, None) is not None
        self._write()
        return was_there

    def _write(self) -> None:
        kept = {name: {"definition": dict(s.definition), "state": s.state} for name, s in self._known.items()}
        write_whole(self._path, json.dumps(kept, indent=1), mode=FOR_THE_OWNER)


def _read_filter(body: object) -> EventFilter:
    if not isinstance(body, dict) or set(body) - FILTER_MEMBERS:
        raise SubscriptionError(f"filter is an object with {', '.join(sorted(FILTER_MEMBERS))}")
    types = body.get("includedEventTypes") or []
    if not isinstance(types, list) or not all(isinstance(name, str) for name in types):
        raise SubscriptionError("includedEventTypes is a list of event types")
    return EventFilter(
        included_event_types=tuple(name.lower() for name in types),
        subject_begins_with=str(body.get("subjectBeginsWith") or "").lower(),
        subject_ends_with=str(body.get("subjectEndsWith") or "").lower(),
    )


def _one_of(kind: type[Word], body: Mapping[str, Any], member: str, default: Word) -> Word:
    try:
        return kind(body.get(member, default))
    except ValueError as error:
        raise SubscriptionError(f"{member} is one of {', '.join(kind)}") from error


def _number(body: Mapping[str, Any], member: str, default: int, most: int) -> int:
    value = body.get(member, default)
    if type(value) is not int or not 1 <= value <= most:
        raise SubscriptionError(f"{member} is a number from 1 to {most}")
    return value
