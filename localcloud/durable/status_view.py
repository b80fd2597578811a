"""How an instance is told to callers: the status body, and its history as the vendor's webhook shows it."""

from collections.abc import Sequence
from typing import Any

from localcloud.durable.history import Event, EventType, kind_of
from localcloud.durable.rows import Instance
from localcloud.durable.texts import json_or_text, offset_text, whole_seconds

_HIDDEN = {
    EventType.ORCHESTRATOR_STARTED,
    EventType.ORCHESTRATOR_COMPLETED,
}
_ALWAYS_DROPPED = ("EventId", "IsPlayed", "EventType")
_OUTCOMES_OF_TASKS = (EventType.TASK_COMPLETED, EventType.TASK_FAILED)
_OUTCOMES_OF_CHILDREN = (
    EventType.SUB_ORCHESTRATION_INSTANCE_COMPLETED,
    EventType.SUB_ORCHESTRATION_INSTANCE_FAILED,
)


class DoubleKey(Exception):
    """The history holds two events of one id, as a non-deterministic one can: the vendor's view breaks on it."""

    def __init__(self, key: str) -> None:
        super().__init__(f"An item with the same key has already been added. Key: {key}")


def status_body(row: Instance, *, show_input: bool) -> dict[str, Any]:
    """The status without the history."""
    return {
        "name": row.name,
        "instanceId": row.instance_id,
        "runtimeStatus": row.status.value,
        "input": json_or_text(row.input_text) if show_input else None,
        "customStatus": json_or_text(row.custom_status),
        "output": json_or_text(row.output),
        "createdTime": whole_seconds(row.created_at),
        "lastUpdatedTime": whole_seconds(row.updated_at),
    }


def history_view(history: Sequence[Event], *, show_output: bool) -> list[dict[str, Any]]:
    """The events as callers see them: scheduled ones are merged into their outcomes; raises DoubleKey."""
    opened: dict[str, dict[str, Any]] = {}
    shown: list[dict[str, Any]] = []
    for entry in history:
        kind = kind_of(entry)
        if kind in _HIDDEN:
            continue
        one = _one(entry, kind, show_output=show_output)
        key = _opening_key(entry, kind)
        if key is not None:
            if key in opened:
                raise DoubleKey(key)
            opened[key] = one
        elif (key := _closing_key(entry, kind)) is not None:
            scheduled = opened.get(key)
            if scheduled is not None:
                one |= {"FunctionName": scheduled["Name"], "ScheduledTime": offset_text(scheduled["Timestamp"])}
                one["Input"] = None
                shown = [each for each in shown if each is not scheduled]
        shown.append(one)
    return shown


def _opening_key(entry: Event, kind: EventType) -> str | None:
    if kind in (EventType.TASK_SCHEDULED, EventType.SUB_ORCHESTRATION_INSTANCE_CREATED):
        return f"{kind.wire_name}_{entry['EventId']}"
    return None


def _closing_key(entry: Event, kind: EventType) -> str | None:
    if kind in _OUTCOMES_OF_TASKS:
        return f"{EventType.TASK_SCHEDULED.wire_name}_{entry['TaskScheduledId']}"
    if kind in _OUTCOMES_OF_CHILDREN:
        return f"{EventType.SUB_ORCHESTRATION_INSTANCE_CREATED.wire_name}_{entry['TaskScheduledId']}"
    return None


def _one(entry: Event, kind: EventType, *, show_output: bool) -> dict[str, Any]:
    """One event without ids, and with results as values."""
    one = {name: value for name, value in entry.items() if name not in _ALWAYS_DROPPED}
    one["EventType"] = kind.wire_name
    for name in _DROPPED.get(kind, ()):
        one.pop(name, None)
    if kind is EventType.EXECUTION_STARTED:
        one["FunctionName"] = one.pop("Name")
    if "Result" in one:
        result = json_or_text(one.pop("Result"))
        if show_output:
            one["Result"] = result
    return one


_DROPPED: dict[EventType, tuple[str, ...]] = {
    EventType.EXECUTION_STARTED: ("OrchestrationInstance", "ParentInstance", "Version", "Tags"),
    EventType.TASK_SCHEDULED: ("Version",),
    EventType.SUB_ORCHESTRATION_INSTANCE_CREATED: ("Version",),
    EventType.TASK_COMPLETED: ("TaskScheduledId",),
    EventType.TASK_FAILED: ("TaskScheduledId",),
    EventType.SUB_ORCHESTRATION_INSTANCE_COMPLETED: ("TaskScheduledId",),
    EventType.SUB_ORCHESTRATION_INSTANCE_FAILED: ("TaskScheduledId",),
    EventType.TIMER_FIRED: ("TimerId",),
}
