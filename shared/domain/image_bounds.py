"""The bounds of a project's image settings: its presets, its registries, and that its default is allowed itself."""

from __future__ import annotations

from collections.abc import Iterator

from shared.domain.arm_ids import fault_of_arm_id
from shared.domain.complaints import Complaint, shown, too_many, twice
from shared.domain.errors import Problem
from shared.domain.images import (
    PRESETS,
    REPOSITORY_RULE,
    SERVER_RULE,
    allowed_image,
    is_repository_pattern,
    is_server,
)
from shared.domain.settings import ImageSettings, RegistrySetting, SettingsBounds

IDENTITY = "Microsoft.ManagedIdentity/userAssignedIdentities"
MOST_REGISTRIES = 10
MOST_REPOSITORIES = 50


def image_complaints(images: ImageSettings, bounds: SettingsBounds) -> Iterator[Complaint]:
    if not isinstance(images.allow_preset, bool):
        for index, name in enumerate(images.allow_preset):
            if name not in PRESETS:
                message = f"there is no preset {shown(name)}; there are: {', '.join(PRESETS)}"
                yield Complaint(f"images.allowPreset[{index}]", message)
    yield from too_many("images.registries", images.registries, MOST_REGISTRIES)
    yield from twice("images.registries", "a server", [registry.server for registry in images.registries])
    for index, registry in enumerate(images.registries):
        yield from _registry(f"images.registries[{index}]", registry, bounds)
    default = allowed_image(images, None)
    if isinstance(default, Problem):
        others = ("images.allowPreset", "images.registries", "images.requireDigest")
        yield Complaint("images.default", default.message, rests_on=others)


def _registry(place: str, registry: RegistrySetting, bounds: SettingsBounds) -> Iterator[Complaint]:
    if not is_server(registry.server):
        yield Complaint(f"{place}.server", f"{SERVER_RULE}; it is {shown(registry.server)}")
    if not registry.repositories:
        yield Complaint(f"{place}.repositories", "name at least one repository; '*' allows all of the registry")
    yield from too_many(f"{place}.repositories", registry.repositories, MOST_REPOSITORIES)
    for index, pattern in enumerate(registry.repositories):
        if not is_repository_pattern(pattern):
            message = f"{REPOSITORY_RULE}, at the end perhaps '/*', or '*' alone for all; it is {shown(pattern)}"
            yield Complaint(f"{place}.repositories[{index}]", message)
    if registry.identity is None:
        if not bounds.has_pull_identity:
            yield Complaint(f"{place}.identity", "name the identity that pulls: the platform has none of its own")
    else:
        fault = fault_of_arm_id(registry.identity, IDENTITY, bounds.subscription_id)
        if fault:
            yield Complaint(f"{place}.identity", f"{fault}; it is {shown(registry.identity)}")
