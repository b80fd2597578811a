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


def invalid_image(container: str, image: str, why: str) -> ArmError:
    """The image is looked at while the PUT waits: reference/azure.md 4.4."""
    return invalid_field(f"template.containers.{container}.image", f'Invalid value: "{image}": {why}')


def invalid_field(field: str, why: str) -> ArmError:
    return ArmError(
        400,
        "InvalidParameterValueInContainerTemplate",
        f"The following field(s) are either invalid or missing. Field '{field}' is invalid with details: '{why}'.",
        target=field,
    )
