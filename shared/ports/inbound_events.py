"""Events as the Functions binding hands them over, read into the one shape that the app knows; both schemas."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import azure.functions as func
from azure.functions.eventgrid import EventGridEventInConverter

from shared.domain.inbound import Event


def read_event(event: Any) -> Event:
    """Return a CloudEvent or an event in the Event Grid schema (azure.md 5.4). Nothing is checked here."""
    if isinstance(event, func.CloudEvent):
        return Event(
            id=event.id,
            source=event.source,
            type=event.type,
            subject=event.subject,
            time=event.time,
            data=event.get_json(),
        )
    return Event(
        id=event.id,
        source=event.topic,
        type=event.event_type,
        subject=event.subject,
        time=event.event_time,
        data=event.get_json(),
    )


def read_time(text: object) -> datetime | None:
    """Return the instant that an event names, None where it names none that can be read."""
    try:
        at = datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        return None
    return at.replace(tzinfo=at.tzinfo or UTC) if at is not None else None


def take_any_time() -> None:
    """Let the binding hand over events whatever their time.

    azure-functions 1.26.0 raises before the function is called where it cannot read the time, and it cannot read an
    offset such as +02:00, as PowerShell writes it: such an event would fail and be delivered again for a day.
    """
    setattr(EventGridEventInConverter, "_parse_datetime", staticmethod(read_time))  # noqa: B010 - not ours
