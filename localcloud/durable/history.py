"""Histories: events in the very shape in which the SDK is sent them.

An event is a JSON object as a dict. Its fields and their defaults were read off the vendor's payloads
(functions-host.md 1.3); fields that the SDK ignores are kept, since programs may look at them.
"""

from collections.abc import Mapping
from enum import IntEnum
from typing import Any

Event = dict[str, Any]


class EventType(IntEnum):
    """The numbers that stand for kinds of events on the wire."""

    EXECUTION_STARTED = 0
    EXECUTION_COMPLETED = 1
    EXECUTION_FAILED = 2
    EXECUTION_TERMINATED = 3
    TASK_SCHEDULED = 4
    TASK_COMPLETED = 5
    TASK_FAILED = 6
    SUB_ORCHESTRATION_INSTANCE_CREATED = 7
    SUB_ORCHESTRATION_INSTANCE_COMPLETED = 8
    SUB_ORCHESTRATION_INSTANCE_FAILED = 9
    TIMER_CREATED = 10
    TIMER_FIRED = 11
    ORCHESTRATOR_STARTED = 12
    ORCHESTRATOR_COMPLETED = 13
    EVENT_SENT = 14
    EVENT_RAISED = 15
    CONTINUE_AS_NEW = 16
    GENERIC_EVENT = 17
    HISTORY_STATE = 18
    EXECUTION_SUSPENDED = 19
    EXECUTION_RESUMED = 20

    @property
    def wire_name(self) -> str:
        """The name in status answers: TASK_COMPLETED reads TaskCompleted."""
        return "".join(word.capitalize() for word in self.name.split("_"))


def event(kind: EventType, timestamp: str, event_id: int = -1, **fields: Any) -> Event:
    """An event; `event_id` is its sequence number where it has one, and fields are as on the wire."""
    return {"EventType": int(kind), **fields, "EventId": event_id, "IsPlayed": False, "Timestamp": timestamp}


_KINDS = {int(kind): kind for kind in EventType}


def kind_of(entry: Mapping[str, Any]) -> EventType:
    """By a table: the look-up of an enumeration is the slowest part of a long replay."""
    return _KINDS[entry["EventType"]]


def execution_started(
    timestamp: str,
    *,
    name: str,
    instance_id: str,
    execution_id: str,
    input_text: str | None,
    version: str | None,
    generation: int | None,
    parent: Mapping[str, Any] | None = None,
) -> Event:
    """The first event of a generation; `generation` counts how often a root's id was used, null for all others."""
    return event(
        EventType.EXECUTION_STARTED,
        timestamp,
        OrchestrationInstance={"InstanceId": instance_id, "ExecutionId": execution_id},
        ParentInstance=parent,
        Name=name,
        Version=version,
        Input=input_text,
        Tags=None,
        Correlation=None,
        ParentTraceContext=None,
        ScheduledStartTime=None,
        Generation=generation,
        GenerateNewTrace=False,
    )


def orchestrator_started(timestamp: str) -> Event:
    return event(EventType.ORCHESTRATOR_STARTED, timestamp)


def orchestrator_completed(timestamp: str) -> Event:
    return event(EventType.ORCHESTRATOR_COMPLETED, timestamp)


def task_scheduled(timestamp: str, event_id: int, name: str, input_text: str | None) -> Event:
    return event(
        EventType.TASK_SCHEDULED,
        timestamp,
        event_id,
        Name=name,
        Version="",
        Input=input_text,
        Tags=None,
        ParentTraceContext=None,
    )


def task_completed(timestamp: str, task_id: int, result: str | None) -> Event:
    return event(EventType.TASK_COMPLETED, timestamp, TaskScheduledId=task_id, Result=result)


def task_failed(timestamp: str, task_id: int, reason: str, details: str | None) -> Event:
    return event(
        EventType.TASK_FAILED, timestamp, TaskScheduledId=task_id, Reason=reason, Details=details, FailureDetails=None
    )


def sub_orchestration_created(timestamp: str, event_id: int, name: str, version: str | None, child: str) -> Event:
    return event(
        EventType.SUB_ORCHESTRATION_INSTANCE_CREATED,
        timestamp,
        event_id,
        Name=name,
        Version=version,
        InstanceId=child,
        Input=None,
        ClientSpanId=None,
        Tags=None,
    )


def sub_orchestration_completed(timestamp: str, task_id: int, result: str | None) -> Event:
    return event(EventType.SUB_ORCHESTRATION_INSTANCE_COMPLETED, timestamp, TaskScheduledId=task_id, Result=result)


def sub_orchestration_failed(timestamp: str, task_id: int, reason: str | None, details: str | None) -> Event:
    return event(
        EventType.SUB_ORCHESTRATION_INSTANCE_FAILED,
        timestamp,
        TaskScheduledId=task_id,
        Reason=reason,
        Details=details,
        FailureDetails=None,
    )


def timer_created(timestamp: str, event_id: int, fire_at: str) -> Event:
    return event(EventType.TIMER_CREATED, timestamp, event_id, FireAt=fire_at)


def timer_fired(timestamp: str, timer_id: int, fire_at: str) -> Event:
    """A timer's end; its Timestamp is that of the timer's creation [golden]."""
    return event(EventType.TIMER_FIRED, timestamp, TimerId=timer_id, FireAt=fire_at)


def event_sent(timestamp: str, event_id: int, target: str, name: str, input_text: str) -> Event:
    return event(EventType.EVENT_SENT, timestamp, event_id, InstanceId=target, Name=name, Input=input_text)


def event_raised(timestamp: str, name: str, input_text: str | None) -> Event:
    return event(EventType.EVENT_RAISED, timestamp, Name=name, Input=input_text, ParentTraceContext=None)


def execution_completed(timestamp: str, event_id: int, status: str, result: str | None) -> Event:
    return event(
        EventType.EXECUTION_COMPLETED,
        timestamp,
        event_id,
        OrchestrationStatus=status,
        Result=result,
        FailureDetails=None,
    )


def execution_terminated(timestamp: str, reason: str | None) -> Event:
    return event(EventType.EXECUTION_TERMINATED, timestamp, Input=reason)


def execution_suspended(timestamp: str, reason: str | None) -> Event:
    return event(EventType.EXECUTION_SUSPENDED, timestamp, Reason=reason)


def execution_resumed(timestamp: str, reason: str | None) -> Event:
    return event(EventType.EXECUTION_RESUMED, timestamp, Reason=reason)


def generic_event(timestamp: str, data: str | None) -> Event:
    return event(EventType.GENERIC_EVENT, timestamp, Data=data)
