"""What we write to Azure Resource Manager about a session's app, and how its answers are read. No calls."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from azure.core.exceptions import HttpResponseError

from shared.domain.provisioning import AppCondition, AppSeen, says_no_capacity
from shared.domain.sweeping import ListedApp
from shared.ports.container_apps import PLATFORM_TAG, PROJECT_TAG, AppSpec
from shared.ports.main_process import GRACE_S, MAIN_PROCESS

THROTTLED_PAUSE_S = 10.0
TROUBLE_PAUSE_S = 5.0
CONTAINER = "shell"


def app_body(spec: AppSpec) -> dict[str, Any]:
    """Return the app's ARM body (azure.md 2.5). The main process waits: shells come by exec."""
    container = {
        "name": CONTAINER,
        "image": spec.image,
        "command": ["/bin/sh", "-c"],
        "args": [MAIN_PROCESS],
        "resources": {"cpu": spec.cpu, "memory": f"{spec.memory_gib}Gi"},
    }
    body: dict[str, Any] = {
        "location": spec.region,
        "tags": dict(spec.tags),
        "properties": {
            "environmentId": spec.environment_id,
            "workloadProfileName": spec.profile,
            "configuration": {"activeRevisionsMode": "Single"},
            "template": {
                "terminationGracePeriodSeconds": GRACE_S,
                "containers": [container],
                "scale": {"minReplicas": 1, "maxReplicas": 1},
            },
        },
    }
    if spec.registry is not None and spec.pull_identity is not None:
        _let_pull(body, spec.registry, spec.pull_identity)
    return body


def _let_pull(body: dict[str, Any], registry: str, identity: str) -> None:
    """Add who pulls the image. Lifecycle None keeps the identity out of the container, where a developer types."""
    body["identity"] = {"type": "UserAssigned", "userAssignedIdentities": {identity: {}}}
    body["properties"]["configuration"] |= {
        "registries": [{"server": registry, "identity": identity}],
        "identitySettings": [{"identity": identity, "lifecycle": "None"}],
    }


def condition_of_replica(replica: Any) -> AppSeen:
    """Return what a replica's own state tells; its texts are Azure's and only some are known (azure.md 4.6)."""
    properties = replica.properties
    started_at: datetime | None = properties.created_time
    if not properties.containers:
        detail = properties.running_state_details or ""
        refused = properties.running_state == "NotRunning"
        return AppSeen(condition=AppCondition.REPLICA_REFUSED if refused else AppCondition.NO_REPLICA, detail=detail)
    container = properties.containers[0]
    detail = container.running_state_details or properties.running_state_details or ""
    if container.running_state == "Running":
        condition = AppCondition.RUNNING
    elif properties.running_state == "NotRunning" and says_no_capacity(detail):
        condition = AppCondition.REPLICA_REFUSED
    elif "pull" in detail.lower():
        condition = AppCondition.PULLING
    else:
        condition = AppCondition.STARTING
    occupied = condition is not AppCondition.REPLICA_REFUSED
    return AppSeen(
        condition=condition,
        detail=detail,
        replica_started_at=started_at if occupied else None,
        exec_url=container.exec_endpoint if condition is AppCondition.RUNNING else None,
    )


def has_tag(app: Any, platform: str) -> bool:
    """Tell whether this app was made by the control plane of this name."""
    return (app.tags or {}).get(PLATFORM_TAG) == platform


def listed_app(app: Any) -> ListedApp:
    """Return what the list of apps says of one. Its age is unknown where Azure does not say who made it when."""
    created_at = app.system_data.created_at if app.system_data is not None else None
    return ListedApp(
        name=app.name,
        project=(app.tags or {}).get(PROJECT_TAG),
        created_at=created_at.astimezone(UTC) if created_at is not None else None,
        deleting=app.properties is not None and app.properties.provisioning_state == "Deleting",
    )


def parts(error: HttpResponseError) -> tuple[int, str, str]:
    """Return status, code and message of an ARM error; the body may be HTML (azure.md 4.4)."""
    inner = error.error
    code = str(inner.code) if inner is not None and inner.code else "Unknown"
    message = str(inner.message) if inner is not None and inner.message else (error.reason or "no message")
    return error.status_code or 0, code, message


def is_trouble(status: int) -> bool:
    """Tell whether a status says nothing about the request itself: no rights just now, throttled, out of order."""
    return status in (0, 401, 403, 408, 429) or status >= 500


def pause_s(error: HttpResponseError) -> float:
    headers: Any = getattr(error.response, "headers", {})
    told = str(headers.get("Retry-After", ""))
    if told.isdigit():
        return float(told)
    return THROTTLED_PAUSE_S if error.status_code == 429 else TROUBLE_PAUSE_S
