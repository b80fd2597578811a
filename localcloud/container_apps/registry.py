"""The stand-in's memory: every record in a dictionary, and every change in the store before it is seen by anyone."""

from __future__ import annotations

import secrets
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from localcloud.container_apps.capacity import Capacity
from localcloud.container_apps.faults import Faults
from localcloud.container_apps.records import App, Operation, OperationStatus, Replica, Truth
from localcloud.container_apps.store import Store

# Pollers have long gone by then; the service forgets operations too.
_OPERATION_KEPT_FOR = timedelta(hours=24)


def now() -> datetime:
    return datetime.now(UTC)


class Registry:
    """Apps, operations, truth rows, switches and knobs, loaded from the store and written through to it."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.apps: dict[str, App] = store.load("app", App)
        self.operations: dict[str, Operation] = store.load("operation", Operation)
        self.truth: dict[str, Truth] = store.load("truth", Truth)
        settings = store.load("settings", dict[str, Any])
        self.capacity = Capacity(settings.get("capacity"))
        self.faults = Faults(settings.get("faults"), on_hit=self.save_faults)
        self.signing_key = self._signing_key(settings.get("signing"))
        self._uid_by_id = {app.id.lower(): uid for uid, app in self.apps.items()}
        self._forget_old_operations()

    def app(self, resource_id: str) -> App | None:
        """Find an app by its resource id, in whatever case."""
        uid = self._uid_by_id.get(resource_id.lower())
        return self.apps[uid] if uid is not None else None

    def save_app(self, app: App) -> App:
        self.apps[app.uid] = app
        self._uid_by_id[app.id.lower()] = app.uid
        self._store.put("app", app.uid, app)
        return app

    def remove_app(self, app: App, at: datetime) -> None:
        """Forget the app and book in the truth that it is gone."""
        self._store.delete("app", app.uid)
        self.apps.pop(app.uid, None)
        self._uid_by_id.pop(app.id.lower(), None)
        self.save_truth(replace(self.truth[app.uid], deleted_at=at))

    def save_operation(self, operation: Operation) -> Operation:
        self.operations[operation.id] = operation
        self._store.put("operation", operation.id, operation)
        return operation

    def open_operations(self, uid: str) -> list[Operation]:
        open_now = OperationStatus.IN_PROGRESS
        return [found for found in self.operations.values() if found.app_uid == uid and found.status is open_now]

    def save_truth(self, truth: Truth) -> None:
        self.truth[truth.uid] = truth
        self._store.put("truth", truth.uid, truth)

    def forget_truth(self, uid: str) -> None:
        del self.truth[uid]
        self._store.delete("truth", uid)

    def close(self) -> None:
        self._store.close()

    def save_capacity(self) -> None:
        self._store.put("settings", "capacity", self.capacity.view())

    def save_faults(self) -> None:
        self._store.put("settings", "faults", self.faults.stored())

    def truth_of_new_app(self, app: App) -> None:
        self.save_truth(
            Truth(
                uid=app.uid,
                name=app.name,
                id=app.id,
                tags=app.tags,
                region=app.location,
                gpu_type=app.gpu_type,
                created_at=app.created.at,
            )
        )

    def truth_of_start(self, app: App, replica: Replica, at: datetime) -> None:
        """Book that the replica's container runs from `at` on."""
        truth = self.truth[app.uid]
        if truth.running_since is None:
            self.save_truth(
                replace(
                    truth,
                    replicas=tuple(dict.fromkeys((*truth.replicas, replica.name))),
                    replica_started_at=truth.replica_started_at or at,
                    replica_ended_at=None,
                    running_since=at,
                )
            )

    def truth_of_end(self, app: App, at: datetime) -> None:
        """Book that no container of the app runs any more, and the GPU seconds that it had."""
        truth = self.truth[app.uid]
        if truth.running_since is None:
            return
        seconds = (at - truth.running_since).total_seconds() if app.gpu_type else 0.0
        self.save_truth(
            replace(
                truth,
                replica_ended_at=at,
                running_since=None,
                gpu_seconds_before=truth.gpu_seconds_before + seconds,
            )
        )

    def gpus_in_use(self, *, region: str | None = None, environment: str | None = None, gpu_type: str) -> int:
        """Count the replicas that hold a GPU of the type, in a region or in an environment."""
        return sum(
            1
            for app in self.apps.values()
            if app.replica is not None
            and app.replica.gpu is not None
            and app.replica.gpu.type == gpu_type
            and region in {None, app.location}
            and environment in {None, app.environment}
        )

    def has_free_gpu(self, app: App, gpu_type: str) -> bool:
        """Shortage and quota look alike from outside: the replica just does not come (reference/azure.md 4.6)."""
        in_region = self.gpus_in_use(region=app.location, gpu_type=gpu_type)
        in_environment = self.gpus_in_use(environment=app.environment, gpu_type=gpu_type)
        return in_region < self.capacity.gpus(app.location, gpu_type) and in_environment < self.capacity.quota(
            app.environment, gpu_type
        )

    def _signing_key(self, stored: dict[str, Any] | None) -> str:
        if stored:
            return str(stored["key"])
        key = secrets.token_hex(32)
        self._store.put("settings", "signing", {"key": key})
        return key

    def _forget_old_operations(self) -> None:
        horizon = now() - _OPERATION_KEPT_FOR
        for operation in list(self.operations.values()):
            ended = operation.status is not OperationStatus.IN_PROGRESS
            if ended and operation.ended_at is not None and operation.ended_at < horizon:
                del self.operations[operation.id]
                self._store.delete("operation", operation.id)
