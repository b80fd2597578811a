"""The topic through the vendor's SDK: what it refuses is told apart from what it leaves unanswered."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from port_harness import AnyToken

from shared.domain.events import EventType
from shared.domain.names import ProjectId
from shared.domain.records import OutboxRow
from shared.ports.event_topic import EventGridTopic, EventRefused, TopicUnavailable

EVENT = OutboxRow(
    event_type=EventType.CAP_REACHED,
    subject="gpuSettings",
    at=datetime(2026, 11, 21, 9, tzinfo=UTC),
    data={"waiting": 1},
    actor="a",
)


def topic(service) -> EventGridTopic:
    return EventGridTopic(
        endpoint=f"{service.origin}/api/events", key="canary-key", credential=AnyToken(), platform_name="local"
    )


@pytest.mark.parametrize(
    ("status", "refused"),
    [(400, True), (413, True), (401, False), (403, False), (404, False), (429, False), (500, False), (503, False)],
)
def test_only_what_is_wrong_with_the_events_themselves_is_a_refusal(service, status, refused):
    service.says("POST", "/api/events", {"error": {"code": "x", "message": "y"}}, status)

    with pytest.raises(TopicUnavailable) as found:
        topic(service).publish([(ProjectId("demo"), "1", EVENT)])
    assert isinstance(found.value, EventRefused) is refused
    assert "canary" not in str(found.value)
    assert len(service.asked) == 1, "the outbox offers again, not the SDK"


def test_a_topic_that_is_not_there_is_unavailable():
    lost = EventGridTopic(endpoint="http://127.0.0.1:9/api/events", key="k", credential=AnyToken(), platform_name="l")

    with pytest.raises(TopicUnavailable) as found:
        lost.publish([(ProjectId("demo"), "1", EVENT)])
    assert not isinstance(found.value, EventRefused)
