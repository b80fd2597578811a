"""A generation of an orchestration, as it is stored."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from localcloud.durable.decisions import Status
from localcloud.durable.history import Event, EventType, kind_of
from localcloud.durable.rows import Instance, Message


@dataclass(slots=True)
class Execution:
    """A generation as it is stored; without history where it has yet to run for the first time."""

    row: Instance
    history: list[Event] = field(default_factory=list)


def after_control(row: Instance, accepted: Sequence[Event]) -> Instance:
    """The state of an instance that goes on, by the last suspend or resume that it was sent."""
    status, output = row.status, row.output
    if status in (Status.PENDING, Status.CONTINUED_AS_NEW):
        status = Status.RUNNING
    for entry in accepted:
        if kind_of(entry) is EventType.EXECUTION_SUSPENDED:
            status, output = Status.SUSPENDED, entry["Reason"]
        elif kind_of(entry) is EventType.EXECUTION_RESUMED:
            status, output = Status.RUNNING, entry["Reason"]
    return replace(row, status=status, output=output)


def execution_of(started: Message) -> Execution:
    """The generation that an ExecutionStarted begins."""
    entry = started.event
    created = datetime.fromisoformat(entry["Timestamp"])
    row = Instance(
        instance_id=started.instance_id,
        execution_id=entry["OrchestrationInstance"]["ExecutionId"],
        name=entry["Name"],
        version=entry["Version"],
        input_text=entry["Input"],
        status=Status.PENDING,
        created_at=created,
        updated_at=created,
        generation=entry["Generation"],
        parent=entry["ParentInstance"],
    )
    return Execution(row)
