"""The two event schemas: telling them apart, checking what is published, and turning one into the other."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any

Event = dict[str, Any]

EVENT_GRID_MEMBERS = ("id", "subject", "eventType", "eventTime", "dataVersion")
CLOUD_EVENT_MEMBERS = ("id", "source", "type")


class EventSchema(StrEnum):
    """The names that Event Grid's own management API uses."""

    EVENT_GRID = "EventGridSchema"
    CLOUD_EVENT = "CloudEventSchemaV1_0"


class MalformedEventError(Exception):
    """What was published is no event; the text says what is wrong with it."""


def schema_of(event: Mapping[str, Any]) -> EventSchema:
    return EventSchema.CLOUD_EVENT if "specversion" in event else EventSchema.EVENT_GRID


def check_event(event: object) -> Event:
    """Return the event if it has what its schema demands, else raise MalformedEventError."""
    if not isinstance(event, dict):
        raise MalformedEventError("an event is a JSON object")
    schema = schema_of(event)
    if schema is EventSchema.CLOUD_EVENT and event["specversion"] != "1.0":
        raise MalformedEventError("specversion is not 1.0")
    wanted = CLOUD_EVENT_MEMBERS if schema is EventSchema.CLOUD_EVENT else EVENT_GRID_MEMBERS
    for member in wanted:
        if not isinstance(event.get(member), str) or (not event[member] and member != "dataVersion"):
            raise MalformedEventError(f"the event has no text in {member}")
    when = event.get("time" if schema is EventSchema.CLOUD_EVENT else "eventTime")
    if when is not None:
        _check_time(when)
    return event


def event_id(event: Mapping[str, Any]) -> str:
    return str(event.get("id", ""))


def event_type(event: Mapping[str, Any]) -> str:
    return str(event.get("type" if schema_of(event) is EventSchema.CLOUD_EVENT else "eventType", ""))


def in_schema(event: Event, schema: EventSchema, *, now: datetime) -> Event:
    """Return the event in the wanted schema; one that fits no schema is passed on as it is."""
    if schema_of(event) is schema:
        return event
    try:
        check_event(event)
    except MalformedEventError:
        return event
    return _as_cloud_event(event) if schema is EventSchema.CLOUD_EVENT else _as_event_grid_event(event, now)


def _as_cloud_event(event: Event) -> Event:
    return {
        "specversion": "1.0",
        "id": event["id"],
        "source": event.get("topic") or "/local",
        "type": event["eventType"],
        "subject": event["subject"],
        "time": event["eventTime"],
        "data": event.get("data"),
    }


def _as_event_grid_event(event: Event, now: datetime) -> Event:
    return {
        "id": event["id"],
        "topic": event["source"],
        "subject": event.get("subject") or "",
        "eventType": event["type"],
        "eventTime": event.get("time") or now.isoformat().replace("+00:00", "Z"),
        "data": event.get("data"),
        "dataVersion": "",
        "metadataVersion": "1",
    }


def _check_time(when: object) -> None:
    try:
        parsed = datetime.fromisoformat(str(when))
    except ValueError as error:
        raise MalformedEventError(f"{when!r} is not a time") from error
    if parsed.tzinfo is None:
        raise MalformedEventError(f"{when!r} has no time zone")
