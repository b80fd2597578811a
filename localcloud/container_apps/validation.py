"""Reads a container app's body and refuses what the service refuses, under its codes (reference/azure.md 4.3, 4.4)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from localcloud.container_apps.catalog import Environment, ProfileType, canonical_location, environment_by_id
from localcloud.container_apps.errors import ArmError, invalid_field, invalid_image, resource_not_found
from localcloud.container_apps.image_pull import check_image_pull
from localcloud.container_apps.records import Json
from localcloud.container_apps.wire import (
    WireApp,
    WireConfiguration,
    WireContainer,
    WireProperties,
    WireResources,
    WireScale,
    WireTemplate,
    read_app,
)

_APP_NAME = re.compile(r"[a-z](?!.*--)[a-z0-9-]{0,30}[a-z0-9]")
_IMAGE = re.compile(
    r"(?:[A-Za-z0-9.-]+(?::\d+)?/)?[a-z0-9._-]+(?:/[a-z0-9._-]+)*(?::\w[\w.-]{0,127})?(?:@sha256:[0-9a-f]{64})?"
)
_SUFFIX = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?")
_MEMORY = re.compile(r"([0-9]{1,6}(?:\.[0-9]{1,6})?)Gi")
# The plain Consumption profile only takes these pairs of cores and GiB, always 1 to 2.
_CONSUMPTION_PAIRS = tuple((quarter / 4, quarter / 2) for quarter in range(1, 17))
_MOST_REPLICAS = 1000
_TAG_LIMIT, _TAG_NAME_LIMIT, _TAG_VALUE_LIMIT = 50, 512, 256


@dataclass(frozen=True, slots=True, kw_only=True)
class AppSpec:
    """A valid wish for an app."""

    location: str
    environment: Environment
    workload_profile: str
    profile: ProfileType
    tags: dict[str, str]
    managed_by: str | None
    identity: Json | None
    kind: str | None
    configuration: Json
    template: Json


def check_app_name(name: str) -> None:
    if not 2 <= len(name) <= 32 or not _APP_NAME.fullmatch(name):
        raise ArmError(
            400,
            "ContainerAppInvalidName",
            f"Invalid ContainerApp name '{name}'. A name must consist of lower case alphanumeric characters or '-', "
            "start with an alphabetic character, end with an alphanumeric character and cannot have '--'. "
            "The length must be between 2 and 32.",
        )


def parse_app(body: Json) -> AppSpec:
    """Return the wish that the body states; raises ArmError 400 or 404 as the service would."""
    wire = read_app(body)
    properties = wire.properties or WireProperties()
    template = properties.template or WireTemplate()
    environment = _environment(properties)
    profile_name = properties.workload_profile_name or "Consumption"
    profile = _profile(environment, profile_name)
    _check_template(template, profile)
    configuration = properties.configuration or WireConfiguration()
    _check_secrets(configuration, template)
    check_image_pull(wire, configuration, template.containers or [])
    _check_tags(wire.tags or {})
    sections = body["properties"]
    return AppSpec(
        location=_location(wire, environment),
        environment=environment,
        workload_profile=profile_name,
        profile=profile,
        tags=wire.tags or {},
        managed_by=wire.managed_by or None,
        identity=body.get("identity"),
        kind=wire.kind or None,
        configuration={"activeRevisionsMode": "Single", **_without_nulls(sections.get("configuration") or {})},
        template=_without_nulls(sections["template"]),
    )


def _without_nulls(section: Json) -> Json:
    return {name: value for name, value in section.items() if value is not None}


def _environment(properties: WireProperties) -> Environment:
    environment_id = properties.environment_id or properties.managed_environment_id
    if not environment_id:
        raise ArmError(
            400,
            "ContainerAppEnvironmentRequired",
            "A container app needs 'properties.environmentId'.",
            target="environmentId",
        )
    environment = environment_by_id(environment_id)
    if environment is None:
        raise resource_not_found(environment_id)
    return environment


def _location(wire: WireApp, environment: Environment) -> str:
    if not wire.location:
        raise ArmError(400, "LocationRequired", "The location property is required for this definition.")
    if canonical_location(wire.location) != environment.location:
        raise ArmError(
            400,
            "InvalidResourceLocation",
            f"The container app's location '{wire.location}' is not that of its environment '{environment.name}', "
            f"'{environment.location}'.",
        )
    return environment.location


def _profile(environment: Environment, name: str) -> ProfileType:
    if name not in environment.profiles:
        raise ArmError(
            400,
            "WorkloadProfileNotFound",
            f"Workload profile '{name}' was not found in managed environment '{environment.name}'. "
            f"It has: {', '.join(environment.profiles)}.",
        )
    return environment.profiles[name]


def _check_template(template: WireTemplate, profile: ProfileType) -> None:
    if not template.containers:
        raise ArmError(
            400,
            "ContainerAppCreateMustContainContainer",
            "A container app's template must have at least one container.",
        )
    sizes = [_checked_size(container, profile) for container in template.containers]
    _check_total(profile, sum(cores for cores, _ in sizes), sum(memory for _, memory in sizes))
    _check_scale(template.scale or WireScale())
    if template.revision_suffix and not _SUFFIX.fullmatch(template.revision_suffix):
        raise invalid_field("template.revisionSuffix", f"'{template.revision_suffix}' cannot be part of a name")


def _checked_size(container: WireContainer, profile: ProfileType) -> tuple[float, float]:
    """Check one container and return its cores and GiB; without a wish a GPU container has its whole profile."""
    if not container.name:
        raise invalid_field("template.containers.name", "a container needs a name")
    if not _IMAGE.fullmatch(container.image or ""):
        raise invalid_image(container.name, container.image or "", "could not parse reference")
    default_cores, default_memory = (profile.cores, profile.memory_gib) if profile.gpu else (0.5, 1.0)
    resources = container.resources or WireResources()
    if resources.memory is None:
        return resources.cpu or default_cores, default_memory
    match = _MEMORY.fullmatch(resources.memory)
    if match is None:
        raise invalid_field(
            "template.containers.resources.memory", f"'{resources.memory}' is not an amount such as '56Gi'"
        )
    return resources.cpu or default_cores, float(match.group(1))


def _check_total(profile: ProfileType, cores: float, memory: float) -> None:
    if profile.gpu is None:
        fits = (cores, memory) in _CONSUMPTION_PAIRS
        allowed = ", ".join(f"[cpu: {pair[0]}, memory: {pair[1]}Gi]" for pair in _CONSUMPTION_PAIRS)
    else:
        fits = 0 < cores <= profile.cores and 0 < memory <= profile.memory_gib
        allowed = f"up to [cpu: {profile.cores}, memory: {profile.memory_gib}Gi] on {profile.type}"
    if not fits:
        raise ArmError(
            400,
            "ContainerAppInvalidResourceTotal",
            f"The total requested CPU and memory resources for this application (CPU: {cores:g}, memory: {memory:g}) "
            "is invalid. Total CPU and memory for all containers defined in a Container App must add up to one of the "
            f"following CPU - Memory combinations: {allowed}",
        )


def _check_scale(scale: WireScale) -> None:
    lowest = scale.min_replicas or 0
    highest = max(1, lowest) if scale.max_replicas is None else scale.max_replicas
    if not 0 <= lowest <= highest <= _MOST_REPLICAS or highest == 0:
        raise invalid_field("template.scale", f"minReplicas {lowest} and maxReplicas {highest} do not fit each other")
    if lowest > 1:
        raise invalid_field("template.scale.minReplicas", "the local cloud runs one replica an app at most")


def _check_secrets(configuration: WireConfiguration, template: WireTemplate) -> None:
    secrets = configuration.secrets or []
    for secret in secrets:
        if not secret.name or not (secret.value or secret.key_vault_url):
            raise ArmError(
                400,
                "ContainerAppSecretInvalid",
                f"Invalid Request: Container app secret(s) with name(s) '{secret.name}' are invalid: value or "
                "keyVaultUrl and identity should be provided.",
            )
    known = {secret.name for secret in secrets}
    for container in template.containers or []:
        for variable in container.env or []:
            if variable.secret_ref and variable.secret_ref not in known:
                raise ArmError(
                    400, "ContainerAppSecretRefNotFound", f"SecretRef '{variable.secret_ref}' is not an app's secret."
                )


def _check_tags(tags: dict[str, str]) -> None:
    if len(tags) > _TAG_LIMIT:
        raise ArmError(400, "TagLimitExceeded", f"A resource has at most {_TAG_LIMIT} tags, not {len(tags)}.")
    for name, value in tags.items():
        if len(name) > _TAG_NAME_LIMIT or len(value) > _TAG_VALUE_LIMIT:
            raise ArmError(
                400, "InvalidTagNameLength", f"Tag '{name[:40]}': at most 512 characters a name, 256 a value."
            )
