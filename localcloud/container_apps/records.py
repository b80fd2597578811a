"""The stored state of the stand-in: apps with revisions and replica, operations, and the truth kept after deletion."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from localcloud.container_apps.ports import Gpu, ProcessMark

Json = dict[str, Any]


class Provisioning(StrEnum):
    IN_PROGRESS = "InProgress"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    DELETING = "Deleting"


class Phase(StrEnum):
    """Where a replica stands. ASSIGNING is not listed by the service; the others are."""

    ASSIGNING = "Assigning"
    FULL = "Full"
    PULLING = "Pulling"
    STARTING = "Starting"
    RUNNING = "Running"
    BACKING_OFF = "BackingOff"


class OperationKind(StrEnum):
    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"
    START = "start"
    STOP = "stop"


class OperationStatus(StrEnum):
    IN_PROGRESS = "InProgress"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    CANCELED = "Canceled"


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who asked, as systemData and Event Grid say it."""

    id: str
    kind: str
    claims: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stamp:
    by: Caller
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Revision:
    name: str
    created_at: datetime
    template: Json
    active: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Replica:
    """One replica: `directory` is the short name of its folder; `process` is there while its container runs.

    `doom` is the fault switch that keeps it from running, for as long as that switch stands.
    """

    name: str
    revision: str
    directory: str
    created_at: datetime
    phase: Phase
    phase_at: datetime
    gpu: Gpu | None = None
    process: ProcessMark | None = None
    running_at: datetime | None = None
    restarts: int = 0
    last_exit: str | None = None
    doom: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class App:
    """One container app; `uid` tells it from an earlier or later app of the same name."""

    uid: str
    subscription: str
    group: str
    name: str
    location: str
    environment: str
    workload_profile: str
    gpu_type: str | None
    tags: dict[str, str]
    managed_by: str | None
    identity: Json | None
    kind: str | None
    configuration: Json
    template: Json
    created: Stamp
    modified: Stamp
    provisioning: Provisioning
    revisions: tuple[Revision, ...]
    operation: str | None = None
    ready_revision: str | None = None
    replica: Replica | None = None
    stopped: bool = False
    stuck: bool = False

    @property
    def id(self) -> str:
        return app_id(self.subscription, self.group, self.name)

    @property
    def revision(self) -> Revision:
        return self.revisions[-1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """A long operation on one app, which callers poll until it has ended; a doomed one will expire."""

    id: str
    kind: OperationKind
    app_uid: str
    app_id: str
    location: str
    started: Stamp
    status: OperationStatus = OperationStatus.IN_PROGRESS
    ended_at: datetime | None = None
    error: Json | None = None
    doomed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """What really ran, kept after the app is gone. GPU seconds count while a GPU replica's container runs."""

    uid: str
    name: str
    id: str
    tags: dict[str, str]
    region: str
    gpu_type: str | None
    created_at: datetime
    replicas: tuple[str, ...] = ()
    replica_started_at: datetime | None = None
    replica_ended_at: datetime | None = None
    running_since: datetime | None = None
    gpu_seconds_before: float = 0.0
    deleted_at: datetime | None = None


def app_id(subscription: str, group: str, name: str) -> str:
    return f"/subscriptions/{subscription}/resourceGroups/{group}/providers/Microsoft.App/containerApps/{name}"
