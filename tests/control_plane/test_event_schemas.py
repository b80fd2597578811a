"""Every published event is as its schema in docs/events says, and no field is published that no schema names."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest

from shared.domain.events import PUBLISHED, EventType
from shared.domain.names import ProjectId
from shared.domain.records import OutboxRow
from shared.ports.event_topic import cloud_event
from tests.control_plane.plane import START, Plane, plane
from tests.control_plane.test_sweep import make_behind_our_back

FOLDER = Path("docs/events")


def schema_of(event_type: str) -> dict[str, Any]:
    schema: dict[str, Any] = json.loads((FOLDER / f"{event_type.removeprefix('DevBoxGpu.')}.schema.json").read_text())
    return schema


def as_sent(project: ProjectId, event_id: str, row: OutboxRow) -> dict[str, Any]:
    """Return the event as it is on the wire."""
    event = cloud_event("/devboxgpu/devboxgpu", project, event_id, row)
    parts = ("specversion", "id", "source", "type", "subject", "time", "data")
    sent: dict[str, Any] = msgspec.json.decode(msgspec.json.encode({name: getattr(event, name) for name in parts}))
    return sent


def check(sent: dict[str, Any]) -> None:
    schema = schema_of(sent["type"])
    checker = jsonschema.FormatChecker()
    jsonschema.Draft202012Validator(schema, format_checker=checker).validate(sent)
    assert set(sent["data"]) <= set(schema["properties"]["data"]["properties"])


async def life(one: Plane) -> None:
    """A life in line, one that runs, one that is refused, an orphan."""
    await one.enable(cap=1)
    await one.opened()
    await one.open(shell="shell-two", wait=True)
    await one.open(shell="shell-six")
    make_behind_our_back(one)
    make_behind_our_back(one, "no-session-names-this")
    await one.sweep()
    for shell in ("shell-one", "shell-two"):
        await one.call("alice", "CloseShell", shell=shell)
        await one.run_for(60)


def test_what_is_published_in_the_lives_of_sessions_is_as_the_schemas_say(tmp_path):
    async def run() -> set[str]:
        async with plane(tmp_path) as one:
            await life(one)
            for event in one.topic.published:
                check(as_sent(*event))
            return {row.event_type for _, _, row in one.topic.published}

    seen = asyncio.run(run())

    assert seen >= PUBLISHED - {EventType.SESSION_IDLE_WARNING, EventType.BUDGET_THRESHOLD}


def test_every_published_event_has_a_schema_and_no_other_has():
    assert {path.name for path in FOLDER.glob("*.schema.json")} == {
        f"{event_type.removeprefix('DevBoxGpu.')}.schema.json" for event_type in PUBLISHED
    }


@pytest.mark.parametrize("event_type", sorted(PUBLISHED))
def test_a_schema_is_one_and_is_in_the_list(event_type):
    schema = schema_of(event_type)

    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["properties"]["type"] == {"const": event_type}
    assert f"| `{event_type}` | {schema['description']} |" in (FOLDER / "README.md").read_text()


def test_an_event_that_is_not_as_its_schema_says_is_found():
    row = OutboxRow(
        event_type=EventType.CAP_REACHED, subject="gpuSettings", at=START, data={"waiting": "two"}, actor="a"
    )

    with pytest.raises(jsonschema.ValidationError):
        check(as_sent(ProjectId("demo"), "1", row))
