"""Refusals as Azure Resource Manager words them."""

from __future__ import annotations

from collections.abc import Mapping

from localcloud.container_apps.records import Json


class ArmError(Exception):
    """An answer other than success: HTTP status, stable code, a message for people, and headers such as Retry-After."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        target: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.target = target
        self.headers = dict(headers or {})

    def envelope(self) -> Json:
        error: Json = {"code": self.code, "message": self.message}
        if self.target is not None:
            error["target"] = self.target
        return {"error": error}


def resource_not_found(resource_id: str) -> ArmError:
    """Say 404 for a resource, naming it by type and name as ARM does."""
    parts = resource_id.strip("/").split("/")
    group = parts[3] if len(parts) > 3 else ""
    short = "/".join(parts[5:])
    return ArmError(
        404, "ResourceNotFound", f"The Resource '{short}' under resource group '{group}' was not found. Check its name."
    )


def operation_in_progress(name: str, operation: str) -> ArmError:
    return ArmError(
        409,
        "ContainerAppOperationInProgress",
        f"Cannot modify a container app '{name}' because there is an active provisioning operation in progress. "
        f"OperationId: '{operation}'",
    )
