"""What an episode decides: the things that the dispatcher is to do, in the order of their ids."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from localcloud.durable.history import Event


class Status(StrEnum):
    """The state of an instance, under the names of the wire."""

    PENDING = "Pending"
    RUNNING = "Running"
    COMPLETED = "Completed"
    CONTINUED_AS_NEW = "ContinuedAsNew"
    FAILED = "Failed"
    CANCELED = "Canceled"
    TERMINATED = "Terminated"
    SUSPENDED = "Suspended"

    @property
    def is_final(self) -> bool:
        return self in (Status.COMPLETED, Status.FAILED, Status.CANCELED, Status.TERMINATED)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleActivity:
    id: int
    name: str
    input_text: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateTimer:
    id: int
    fire_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateSubOrchestration:
    id: int
    name: str
    version: str | None
    instance_id: str
    input_text: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SendEvent:
    id: int
    target: str
    name: str
    input_text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Complete:
    """The end of a generation. For ContinuedAsNew, `result` is the next one's input and `carried` goes along."""

    id: int
    status: Status
    result: str | None
    details: str | None = None
    carried: tuple[Event, ...] = field(default=())


Decision = ScheduleActivity | CreateTimer | CreateSubOrchestration | SendEvent | Complete

#: What the vendor's engine calls these, as its messages about non-determinism tell.
VENDOR_NAMES: dict[type[Decision], str] = {
    ScheduleActivity: "ScheduleTaskOrchestratorAction",
    CreateTimer: "CreateTimerOrchestratorAction",
    CreateSubOrchestration: "CreateSubOrchestrationAction",
    SendEvent: "SendEventOrchestratorAction",
    Complete: "OrchestrationCompleteOrchestratorAction",
}
