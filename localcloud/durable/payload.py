"""The text that an orchestrator function is sent: the whole history and what belongs to it (functions-host.md 1.2)."""

from collections.abc import Sequence

from localcloud.durable.history import Event
from localcloud.durable.rows import Instance
from localcloud.durable.texts import json_or_text, to_json


def orchestration_payload(row: Instance, history: Sequence[Event]) -> str:
    """The trigger's JSON text; `history` begins with OrchestratorStarted and ExecutionStarted."""
    started = history[1]
    return to_json(
        {
            "history": history,
            "input": json_or_text(started["Input"]),
            "instanceId": row.instance_id,
            "isReplaying": started["IsPlayed"],
            "parentInstanceId": row.parent["OrchestrationInstance"]["InstanceId"] if row.parent else None,
            "upperSchemaVersion": 1,
            "upperSchemaVersionNew": 3,
            "maximumShortTimerDuration": "6.00:00:00",
            "longRunningTimerIntervalDuration": "3.00:00:00",
            "defaultHttpAsyncRequestSleepTimeMillseconds": 30000,
        }
    )
