"""Records as Azure Resource Manager shows them: apps, revisions, replicas, environments, usages, operations."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from localcloud.container_apps.capacity import Capacity
from localcloud.container_apps.catalog import ENVIRONMENTS, PROFILE_TYPES, Environment
from localcloud.container_apps.containers import first_container
from localcloud.container_apps.ports import Origins
from localcloud.container_apps.records import App, Json, Operation, Phase, Provisioning, Replica, Revision, Stamp
from localcloud.container_apps.registry import Registry

# A replica that is still being assigned is not in the service's list (reference/azure.md 4.6).
_WAITING = {
    Phase.FULL: "WorkLoad Profile Full",
    Phase.PULLING: "PullingImage",
    Phase.STARTING: "ContainerCreating",
    Phase.BACKING_OFF: "CrashLoopBackOff",
}


def timestamp(at: datetime) -> str:
    return at.isoformat(timespec="microseconds").replace("+00:00", "Z")


def app(app: App, origins: Origins) -> Json:
    body: Json = {
        "id": app.id,
        "name": app.name,
        "type": "Microsoft.App/containerApps",
        "location": app.location,
        "tags": app.tags,
        "systemData": _system_data(app.created, app.modified),
        "properties": {
            "provisioningState": app.provisioning,
            "runningStatus": _running_status(app),
            "managedEnvironmentId": ENVIRONMENTS[app.environment].id,
            "environmentId": ENVIRONMENTS[app.environment].id,
            "workloadProfileName": app.workload_profile,
            "latestRevisionName": app.revision.name,
            "latestReadyRevisionName": app.ready_revision or "",
            "latestRevisionFqdn": "",
            "configuration": _without_secret_values(app.configuration),
            "template": app.template,
            "outboundIpAddresses": [],
            "eventStreamEndpoint": f"{origins.exec}{_short_path(app)}/eventstream",
        },
    }
    optional = {"identity": app.identity, "managedBy": app.managed_by, "kind": app.kind}
    return body | {name: value for name, value in optional.items() if value is not None}


def revision(app: App, revision: Revision) -> Json:
    serving = app.replica is not None and app.replica.revision == revision.name
    listed = serving and app.replica is not None and is_listed(app.replica)
    running = listed and app.replica is not None and app.replica.phase is Phase.RUNNING
    failed = app.provisioning is Provisioning.FAILED and revision == app.revision
    body: Json = {
        "createdTime": timestamp(revision.created_at),
        "active": revision.active,
        # The service reports the wanted number while the list is still empty; a contradiction seen live.
        "replicas": int(serving),
        "trafficWeight": 0,
        "template": revision.template,
        "healthState": "Unhealthy" if failed else "Healthy" if revision.active else "None",
        "provisioningState": "Failed" if failed else "Provisioned" if revision.active else "Deprovisioned",
        "runningState": "Failed" if failed else "Running" if running else "Processing" if serving else "Stopped",
    }
    if failed:
        body["provisioningError"] = "Operation expired."
    return {
        "id": f"{app.id}/revisions/{revision.name}",
        "name": revision.name,
        "type": "Microsoft.App/containerapps/revisions",
        "properties": body,
    }


def is_listed(replica: Replica) -> bool:
    return replica.phase is not Phase.ASSIGNING


def replica(app: App, replica: Replica, origins: Origins) -> Json:
    running = replica.phase is Phase.RUNNING
    details = _WAITING.get(replica.phase, "")
    if replica.phase is Phase.BACKING_OFF and replica.last_exit:
        details = f"{details}. Last state: {replica.last_exit}"
    container = str(first_container(app)["name"])
    base = (
        f"{origins.exec.replace('http', 'ws', 1)}{_short_path(app)}/revisions/{replica.revision}"
        f"/replicas/{replica.name}/containers/{container}"
    )
    return {
        "id": f"{app.id}/revisions/{replica.revision}/replicas/{replica.name}",
        "name": replica.name,
        "type": "Microsoft.App/containerapps/revisions/replicas",
        "properties": {
            "createdTime": timestamp(replica.created_at),
            "runningState": "Running" if running else "NotRunning",
            "runningStateDetails": details,
            "containers": [
                {
                    "name": container,
                    "containerId": f"containerd://{replica.directory}" if running else "",
                    "ready": running,
                    "started": running,
                    "restartCount": replica.restarts,
                    "runningState": "Running" if running else "Waiting",
                    "runningStateDetails": details,
                    "logStreamEndpoint": f"{base.replace('ws', 'http', 1)}/logstream",
                    "execEndpoint": f"{base}/exec",
                    "debugEndpoint": f"{base.rsplit('/containers/', 1)[0]}/debug?targetContainer={container}",
                }
            ],
            "initContainers": [],
        },
    }


def environment(environment: Environment, capacity: Capacity) -> Json:
    properties: Json = {
        "provisioningState": "Succeeded",
        "defaultDomain": f"{environment.name}.localcloud.test",
        "zoneRedundant": False,
        "workloadProfiles": [
            {"name": name, "workloadProfileType": profile.type} for name, profile in environment.profiles.items()
        ],
    }
    if capacity.has_virtual_network(environment.location):
        properties["vnetConfiguration"] = {"internal": True, "infrastructureSubnetId": environment.subnet_id}
    return {
        "id": environment.id,
        "name": environment.name,
        "type": "Microsoft.App/managedEnvironments",
        "location": environment.location,
        "properties": properties,
    }


def profile_states(environment: Environment, registry: Registry) -> list[Json]:
    states = []
    for name, profile in environment.profiles.items():
        used = (
            registry.gpus_in_use(environment=environment.name, gpu_type=profile.gpu)
            if profile.gpu
            else len(_running_on_cpu(environment, registry))
        )
        states.append(
            {
                "id": f"{environment.id}/workloadProfileStates/{name}",
                "name": name,
                "type": "Microsoft.App/managedEnvironments/workloadProfileStates",
                "properties": {"minimumCount": 0, "maximumCount": 1000, "currentCount": used},
            }
        )
    return states


def environment_usages(environment: Environment, registry: Registry, capacity: Capacity) -> list[Json]:
    """Return the quota rows: GPU quota is counted an environment, and is a limit, not capacity."""
    rows = [_usage("ManagedEnvironmentConsumptionCores", 0.5 * len(_running_on_cpu(environment, registry)), 100)]
    for profile in PROFILE_TYPES:
        if profile.gpu is not None:
            used = registry.gpus_in_use(environment=environment.name, gpu_type=profile.gpu)
            rows.append(_usage(profile.quota_row, used, capacity.quota(environment.name, profile.gpu)))
    return rows


def location_usages(location: str) -> list[Json]:
    """Return the region's rows, which lack the T4 row as the real ones do."""
    environments = sum(1 for environment in ENVIRONMENTS.values() if environment.location == location)
    return [
        _usage("ManagedEnvironmentCount", environments, 15),
        _usage("SessionPools", 0, 50),
        _usage("SubscriptionNCA100Gpus", 0, 0),
    ]


def available_profiles(location: str) -> list[Json]:
    return [
        {
            "name": profile.type,
            "location": location,
            "properties": {
                "category": profile.category,
                "applicability": "LocationDefault",
                "cores": int(profile.cores),
                "memoryGiB": int(profile.memory_gib),
                "gpus": int(profile.gpu is not None),
                "displayName": profile.type,
            },
        }
        for profile in PROFILE_TYPES
    ]


def operation_status(operation: Operation, resource_id: str) -> Json:
    body: Json = {
        "id": resource_id,
        "name": operation.id,
        "status": operation.status,
        "startTime": timestamp(operation.started.at),
    }
    if operation.ended_at is not None:
        body["endTime"] = timestamp(operation.ended_at)
    if operation.error is not None:
        body["error"] = operation.error
    return body


def _running_status(app: App) -> str:
    if app.stopped:
        return "Stopped"
    return "Running" if app.replica is not None and app.replica.phase is Phase.RUNNING else "Progressing"


def _short_path(app: App) -> str:
    return f"/subscriptions/{app.subscription}/resourceGroups/{app.group}/containerApps/{app.name}"


def _without_secret_values(configuration: Json) -> Json:
    secrets: Iterable[Json] = configuration.get("secrets") or []
    shown = [{name: value for name, value in secret.items() if name != "value"} for secret in secrets]
    return configuration | ({"secrets": shown} if "secrets" in configuration else {})


def _system_data(created: Stamp, modified: Stamp) -> Json:
    return {
        "createdBy": created.by.id,
        "createdByType": created.by.kind,
        "createdAt": timestamp(created.at),
        "lastModifiedBy": modified.by.id,
        "lastModifiedByType": modified.by.kind,
        "lastModifiedAt": timestamp(modified.at),
    }


def _usage(name: str, used: float, limit: float) -> Json:
    words = "".join(f" {letter}" if letter.isupper() else letter for letter in name).strip()
    return {
        "name": {"value": name, "localizedValue": words},
        "currentValue": float(used),
        "limit": float(limit),
        "unit": "Count",
    }


def _running_on_cpu(environment: Environment, registry: Registry) -> list[App]:
    return [
        found
        for found in registry.apps.values()
        if found.environment == environment.name and found.gpu_type is None and found.replica is not None
    ]
