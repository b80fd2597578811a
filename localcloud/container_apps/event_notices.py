"""The Event Grid events that Resource Manager raises when an operation has ended (reference/azure.md 5.2)."""

from __future__ import annotations

import uuid

from localcloud.container_apps.catalog import TENANT
from localcloud.container_apps.records import Json, Operation, OperationKind, OperationStatus
from localcloud.container_apps.registry import now
from localcloud.container_apps.rendering import timestamp

_WORDS = {
    OperationKind.CREATE: ("Write", "Microsoft.App/containerApps/write"),
    OperationKind.UPDATE: ("Write", "Microsoft.App/containerApps/write"),
    OperationKind.DELETE: ("Delete", "Microsoft.App/containerApps/delete"),
    OperationKind.START: ("Action", "Microsoft.App/containerApps/start/action"),
    OperationKind.STOP: ("Action", "Microsoft.App/containerApps/stop/action"),
}


def resource_event(operation: Operation) -> Json:
    """Return the event in the Event Grid schema. It has no resource body and no tags, as the real one."""
    noun, action = _WORDS[operation.kind]
    succeeded = operation.status is OperationStatus.SUCCEEDED
    subscription = operation.app_id.split("/")[2]
    caller = operation.started.by
    return {
        "id": str(uuid.uuid4()),
        "topic": f"/subscriptions/{subscription}",
        "subject": operation.app_id,
        "eventType": f"Microsoft.Resources.Resource{noun}{'Success' if succeeded else 'Failure'}",
        "eventTime": timestamp(operation.ended_at or now()),
        "data": {
            "authorization": {"scope": operation.app_id, "action": action, "evidence": {"role": "Contributor"}},
            "claims": caller.claims,
            "correlationId": operation.id,
            "resourceProvider": "Microsoft.App",
            "resourceUri": operation.app_id,
            "operationName": action,
            "status": "Succeeded" if succeeded else "Failed",
            "subscriptionId": subscription,
            "tenantId": TENANT,
        },
        "dataVersion": "2",
        "metadataVersion": "1",
    }
