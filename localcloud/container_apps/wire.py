"""The parts of a container app's body that the stand-in looks into, as types; unknown parts are kept, not read."""

from __future__ import annotations

from typing import Any

import msgspec

from localcloud.container_apps.errors import ArmError
from localcloud.container_apps.records import Json


class _Wire(msgspec.Struct, frozen=True, rename="camel"):
    """Wire names are camelCase; clients send null for what they leave out."""


class WireVariable(_Wire, frozen=True):
    name: str
    value: str | None = None
    secret_ref: str | None = None


class WireResources(_Wire, frozen=True):
    cpu: float | None = None
    memory: str | None = None


class WireContainer(_Wire, frozen=True):
    name: str | None = None
    image: str | None = None
    command: list[str] | None = None
    args: list[str] | None = None
    env: list[WireVariable] | None = None
    resources: WireResources | None = None


class WireScale(_Wire, frozen=True):
    min_replicas: int | None = None
    max_replicas: int | None = None


class WireTemplate(_Wire, frozen=True):
    containers: list[WireContainer] | None = None
    scale: WireScale | None = None
    termination_grace_period_seconds: int | None = None
    revision_suffix: str | None = None


class WireSecret(_Wire, frozen=True):
    name: str | None = None
    value: str | None = None
    key_vault_url: str | None = None


class WireRegistry(_Wire, frozen=True):
    server: str | None = None
    identity: str | None = None
    username: str | None = None
    password_secret_ref: str | None = None


class WireIdentitySetting(_Wire, frozen=True):
    identity: str | None = None
    lifecycle: str | None = None


class WireConfiguration(_Wire, frozen=True):
    secrets: list[WireSecret] | None = None
    registries: list[WireRegistry] | None = None
    identity_settings: list[WireIdentitySetting] | None = None


class WireIdentity(_Wire, frozen=True):
    type: str | None = None
    user_assigned_identities: dict[str, Any] | None = None


class WireProperties(_Wire, frozen=True):
    environment_id: str | None = None
    managed_environment_id: str | None = None
    workload_profile_name: str | None = None
    template: WireTemplate | None = None
    configuration: WireConfiguration | None = None


class WireApp(_Wire, frozen=True):
    location: str | None = None
    tags: dict[str, str] | None = None
    managed_by: str | None = None
    kind: str | None = None
    identity: WireIdentity | None = None
    properties: WireProperties | None = None


def read_app(body: Json) -> WireApp:
    """Read a body; raises ArmError 400 that names the field of a wrong kind."""
    try:
        return msgspec.convert(body, WireApp)
    except msgspec.ValidationError as problem:
        raise ArmError(
            400, "InvalidRequestContent", f"The request content was invalid and could not be deserialized: {problem}."
        ) from problem
