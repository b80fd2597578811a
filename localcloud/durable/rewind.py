"""Rewind: what failed is taken out of the history, so that the replay asks for it again.

As in the vendor's engine, the rows of failures become GenericEvents, failed children are rewound in their own right,
and only an instance without failed children is set going by a message.
"""

from dataclasses import replace

from localcloud.durable.changes import Changes
from localcloud.durable.decisions import Status
from localcloud.durable.engine import DurableEngine
from localcloud.durable.history import Event, EventType, generic_event, kind_of
from localcloud.durable.texts import instant_text


def rewound(engine: DurableEngine, instance_id: str, reason: str | None) -> Changes:
    """The changes that rewind a Failed instance and its failed children."""
    changes = Changes()
    _rewind(engine, instance_id, reason, changes)
    return changes


def _rewind(engine: DurableEngine, instance_id: str, reason: str | None, changes: Changes) -> None:
    execution = engine.executions.get(instance_id)
    if execution is None:
        return
    children = _failed_children(execution.history)
    history = _without_failures(execution.history)
    now = engine.factory.now()
    row = replace(execution.row, status=Status.PENDING, output=None, updated_at=now)
    changes.put_instance(row)
    changes.clear_history(instance_id)
    changes.append_history(instance_id, 0, history)
    engine.executions.forget(instance_id)
    for child in children:
        _rewind(engine, child, reason, changes)
    if not children:
        entry = generic_event(instant_text(now), reason)
        changes.add_message(engine.factory.message(instance_id, entry, execution_id=row.execution_id))


def _failed_children(history: list[Event]) -> list[str]:
    failed = {
        entry["TaskScheduledId"] for entry in history if kind_of(entry) is EventType.SUB_ORCHESTRATION_INSTANCE_FAILED
    }
    return [
        entry["InstanceId"]
        for entry in history
        if kind_of(entry) is EventType.SUB_ORCHESTRATION_INSTANCE_CREATED and entry["EventId"] in failed
    ]


def _without_failures(history: list[Event]) -> list[Event]:
    """Failed activities lose both their rows; failed children only that of the failure, since they finish later."""
    failed = {entry["TaskScheduledId"] for entry in history if kind_of(entry) is EventType.TASK_FAILED}

    def is_failure(entry: Event) -> bool:
        match kind_of(entry):
            case EventType.TASK_SCHEDULED:
                return entry["EventId"] in failed
            case EventType.EXECUTION_COMPLETED:
                return bool(entry["OrchestrationStatus"] == Status.FAILED)
            case EventType.TASK_FAILED | EventType.SUB_ORCHESTRATION_INSTANCE_FAILED:
                return True
        return False

    return [generic_event(entry["Timestamp"], None) if is_failure(entry) else entry for entry in history]
