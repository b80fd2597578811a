"""What the journal keeps: instances, messages on their way, activities to be run, entities."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from localcloud.durable.decisions import Status
from localcloud.durable.history import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """An orchestration as its status tells; input, output and custom status are JSON texts, or plain for reasons."""

    instance_id: str
    execution_id: str
    name: str
    version: str | None = None
    input_text: str | None = None
    status: Status = Status.PENDING
    custom_status: str | None = None
    output: str | None = None
    created_at: datetime
    updated_at: datetime
    generation: int | None = 0
    parent: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """An event on its way to an instance; one for another execution than the current is dropped on arrival."""

    id: int
    instance_id: str
    execution_id: str | None
    visible_at: datetime
    event: Event
    to_entity: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Activity:
    """A call that is to be made, at least once."""

    id: int
    instance_id: str
    execution_id: str
    task_id: int
    name: str
    input_text: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Entity:
    """An entity; `state` is JSON text. One that does not exist any more, but did, still answers with null."""

    entity_id: str
    exists: bool
    state: str | None
    updated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceQuery:
    """Which instances to list; times are inclusive bounds on the creation."""

    prefix: str = ""
    statuses: tuple[Status, ...] = ()
    created_from: datetime | None = None
    created_to: datetime | None = None
    after: str | None = None
    top: int = 100
