"""The customer's event topic: what happened to sessions, as CloudEvents, at least once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from azure.core.credentials import AzureKeyCredential, TokenCredential
from azure.core.exceptions import AzureError, HttpResponseError
from azure.core.messaging import CloudEvent
from azure.eventgrid import EventGridPublisherClient

from shared.domain.names import ProjectId
from shared.domain.records import OutboxRow


class TopicUnavailable(Exception):
    """The topic did not take the events; they stay in the outbox."""


class EventRefused(TopicUnavailable):
    """The topic answered that it will not take these events as they are: they are wrong, or too large."""


class EventTopic(Protocol):
    """Where events are published."""

    def publish(self, events: Sequence[tuple[ProjectId, str, OutboxRow]]) -> None:
        """Publish (project, stable id, event) in this order; raise TopicUnavailable where any may be missing.

        EventRefused where the topic says that the events themselves are why.
        """


class NoTopic:
    """No topic is configured: events end in the audit alone."""

    def publish(self, events: Sequence[tuple[ProjectId, str, OutboxRow]]) -> None:
        """Take the events and tell nobody."""


class EventGridTopic:
    """An Event Grid custom topic."""

    def __init__(self, *, endpoint: str, key: str | None, credential: TokenCredential, platform_name: str) -> None:
        signed_in: Any = AzureKeyCredential(key) if key else credential
        self._client = EventGridPublisherClient(endpoint, signed_in, connection_timeout=3, read_timeout=5)
        self._source = f"/devboxgpu/{platform_name}"

    def publish(self, events: Sequence[tuple[ProjectId, str, OutboxRow]]) -> None:
        sent = [cloud_event(self._source, project, event_id, event) for project, event_id, event in events]
        try:
            self._client.send(sent, retry_total=0)  # the outbox offers again
        except HttpResponseError as error:
            refused = error.status_code in (400, 413, 422)
            raise (EventRefused if refused else TopicUnavailable)(f"the event topic said no: {error.reason}") from error
        except AzureError as error:
            raise TopicUnavailable(f"the event topic did not answer: {error}") from error


def cloud_event(platform: str, project: ProjectId, event_id: str, event: OutboxRow) -> CloudEvent[dict[str, object]]:
    """Return an outbox entry as it is published; docs/events/ has the schemas."""
    return CloudEvent(
        source=f"{platform}/projects/{project}",
        type=event.event_type,
        data={"project": project, **event.data},
        id=event_id,
        time=event.at,
        subject=event.subject,
    )
