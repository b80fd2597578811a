"""Every change that ARM can make to an app: create, replace, merge, delete, start, stop, and to its revisions."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from localcloud.container_apps.catalog import ENVIRONMENTS
from localcloud.container_apps.containers import random_word
from localcloud.container_apps.errors import ArmError, operation_in_progress, resource_not_found
from localcloud.container_apps.faults import number
from localcloud.container_apps.image_pull import unauthorized_image
from localcloud.container_apps.lifecycle import Lifecycle
from localcloud.container_apps.records import (
    App,
    Caller,
    Json,
    Operation,
    OperationKind,
    OperationStatus,
    Provisioning,
    Revision,
    Stamp,
    app_id,
)
from localcloud.container_apps.registry import Registry, now
from localcloud.container_apps.validation import AppSpec, check_app_name, parse_app


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What a write did: the app as it is now, the operation to poll (None: nothing was to do), and if it is new."""

    app: App
    operation: Operation | None
    created: bool = False


class AppWrites:
    """Applies writes, one at a time an app: while an operation runs, the next write is refused with 409."""

    def __init__(self, *, registry: Registry, lifecycle: Lifecycle) -> None:
        self._registry = registry
        self._lifecycle = lifecycle
        self._first_refused_at: dict[tuple[str, str], datetime] = {}

    def put(self, subscription: str, group: str, name: str, body: Json, caller: Caller) -> Written:
        """Create or replace. The same body again changes nothing and makes no revision."""
        check_app_name(name)
        self._refuse_by_switch("conflict_for", name)
        existing = self._registry.app(app_id(subscription, group, name))
        if existing is not None:
            _refuse_while_busy(existing)
        spec = parse_app(body)
        self._refuse_image(name, spec)
        if existing is not None:
            return self._replace(existing, spec, caller)
        return self._create(subscription, group, name, spec, caller)

    def patch(self, app: App, changes: Json, caller: Caller) -> Written:
        """Merge (RFC 7396) into the app's own body."""
        self._refuse_by_switch("conflict_for", app.name)
        _refuse_while_busy(app)
        spec = parse_app(_merge(_body_of(app), changes))
        self._refuse_image(app.name, spec)
        return self._replace(app, spec, caller)

    def delete(self, app: App, caller: Caller) -> Operation:
        """Begin to delete, or return the delete that is under way. A create that still runs is cancelled."""
        self._refuse_by_switch("delete_conflict_for", app.name)
        stuck = self._registry.faults.hit("delete_stuck", app.name) is not None
        if app.provisioning is Provisioning.DELETING and app.operation is not None:
            self._registry.save_app(replace(app, stuck=stuck))
            self._lifecycle.wake(app.uid)
            return self._registry.operations[app.operation]
        for running in self._registry.open_operations(app.uid):
            self._registry.save_operation(replace(running, status=OperationStatus.CANCELED, ended_at=now()))
        going = replace(
            app, provisioning=Provisioning.DELETING, stuck=stuck, operation=None, modified=Stamp(by=caller, at=now())
        )
        return self._open(OperationKind.DELETE, going)

    def start(self, app: App, caller: Caller) -> Operation:
        return self._switch(app, caller, OperationKind.START)

    def stop(self, app: App, caller: Caller) -> Operation:
        return self._switch(app, caller, OperationKind.STOP)

    def set_revision_active(self, app: App, name: str, *, active: bool) -> None:
        """Activate or deactivate a revision: an inactive one has no replica. Raises 404 for an unknown one."""
        revisions = tuple(replace(found, active=active) if found.name == name else found for found in app.revisions)
        if name not in {revision.name for revision in app.revisions}:
            raise resource_not_found(f"{app.id}/revisions/{name}")
        self._registry.save_app(replace(app, revisions=revisions))
        self._lifecycle.wake(app.uid)

    def _create(self, subscription: str, group: str, name: str, spec: AppSpec, caller: Caller) -> Written:
        stamp = Stamp(by=caller, at=now())
        app = App(
            uid=uuid.uuid4().hex,
            subscription=subscription,
            group=group,
            name=name,
            location=spec.location,
            environment=spec.environment.name,
            workload_profile=spec.workload_profile,
            gpu_type=spec.profile.gpu,
            tags=spec.tags,
            managed_by=spec.managed_by,
            identity=spec.identity,
            kind=spec.kind,
            configuration=spec.configuration,
            template=spec.template,
            created=stamp,
            modified=stamp,
            provisioning=Provisioning.IN_PROGRESS,
            revisions=(_new_revision(name, spec.template),),
        )
        self._registry.truth_of_new_app(app)
        operation = self._open(OperationKind.CREATE, app)
        self._lifecycle.drive(self._registry.apps[app.uid])
        return Written(app=self._registry.apps[app.uid], operation=operation, created=True)

    def _replace(self, app: App, spec: AppSpec, caller: Caller) -> Written:
        if spec.environment.name != app.environment:
            raise ArmError(
                400,
                "ContainerAppEnvironmentImmutable",
                f"The environment of container app '{app.name}' cannot be changed.",
            )
        wished = replace(
            app,
            workload_profile=spec.workload_profile,
            gpu_type=spec.profile.gpu,
            tags=spec.tags,
            managed_by=spec.managed_by or app.managed_by,
            identity=spec.identity,
            configuration=spec.configuration,
            template=spec.template,
        )
        if wished == app and app.provisioning is Provisioning.SUCCEEDED:
            return Written(app=app, operation=None)
        if spec.template != app.template or app.provisioning is Provisioning.FAILED:
            retired = tuple(replace(revision, active=False) for revision in app.revisions)
            wished = replace(wished, revisions=(*retired, _new_revision(app.name, spec.template)))
        wished = replace(wished, modified=Stamp(by=caller, at=now()), provisioning=Provisioning.IN_PROGRESS)
        self._registry.save_truth(replace(self._registry.truth[app.uid], tags=spec.tags))
        operation = self._open(OperationKind.UPDATE, wished)
        return Written(app=self._registry.apps[app.uid], operation=operation)

    def _switch(self, app: App, caller: Caller, kind: OperationKind) -> Operation:
        self._refuse_by_switch("conflict_for", app.name)
        _refuse_while_busy(app)
        changed = replace(
            app,
            stopped=kind is OperationKind.STOP,
            provisioning=Provisioning.IN_PROGRESS,
            modified=Stamp(by=caller, at=now()),
        )
        return self._open(kind, changed)

    def _open(self, kind: OperationKind, app: App) -> Operation:
        """Store the app with a new operation, asked for by whoever modified it last, and let its driver look."""
        changes_template = kind in {OperationKind.CREATE, OperationKind.UPDATE}
        operation = Operation(
            id=str(uuid.uuid4()),
            kind=kind,
            app_uid=app.uid,
            app_id=app.id,
            location=app.location,
            started=app.modified,
            doomed=changes_template and self._registry.faults.hit("op_expired", app.name) is not None,
        )
        self._registry.save_operation(operation)
        self._registry.save_app(replace(app, operation=operation.id))
        self._lifecycle.wake(app.uid)
        return operation

    def _refuse_by_switch(self, switch: str, name: str) -> None:
        """Refuse with 409 for as many seconds as the switch says, counted from the app's first refusal."""
        window_s = self._registry.faults.peek(switch, name)
        if window_s is None:
            self._first_refused_at.pop((switch, name), None)
            return
        first_at = self._first_refused_at.setdefault((switch, name), now())
        if (now() - first_at).total_seconds() < number(window_s):
            self._registry.faults.hit(switch, name)
            raise operation_in_progress(name, str(uuid.uuid5(uuid.NAMESPACE_OID, f"{switch} {name}")))

    def _refuse_image(self, name: str, spec: AppSpec) -> None:
        if self._registry.faults.hit("image_unauthorized", name) is None:
            return
        container = spec.template["containers"][0]
        raise unauthorized_image(str(container["name"]), str(container["image"]))


def _new_revision(app_name: str, template: Json) -> Revision:
    return Revision(
        name=f"{app_name}--{template.get('revisionSuffix') or random_word(7)}", created_at=now(), template=template
    )


def _refuse_while_busy(app: App) -> None:
    if app.operation is not None:
        raise operation_in_progress(app.name, app.operation)


def _body_of(app: App) -> Json:
    return {
        "location": app.location,
        "tags": app.tags,
        "identity": app.identity,
        "managedBy": app.managed_by,
        "kind": app.kind,
        "properties": {
            "environmentId": ENVIRONMENTS[app.environment].id,
            "workloadProfileName": app.workload_profile,
            "configuration": app.configuration,
            "template": app.template,
        },
    }


def _merge(target: object, changes: object) -> Json:
    """Merge as RFC 7396 says: objects by member, null removes, all else replaces."""
    merged: Json = dict(target) if isinstance(target, dict) else {}
    if isinstance(changes, Mapping):
        for name, value in changes.items():
            if value is None:
                merged.pop(name, None)
            else:
                merged[name] = _merge(merged.get(name), value) if isinstance(value, Mapping) else value
    return merged
