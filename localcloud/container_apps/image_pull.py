"""Who pulls an app's image: refuses what the service refuses about registries and identities (azure.md 2.5, 4.4)."""

from __future__ import annotations

from collections.abc import Iterable

from localcloud.container_apps.errors import ArmError, invalid_image
from localcloud.container_apps.wire import WireApp, WireConfiguration, WireContainer, WireIdentity, WireRegistry

_PRIVATE = ".azurecr.io"
_LIFECYCLES = ("Init", "Main", "None", "All")
_SYSTEM = "system"


def check_image_pull(wire: WireApp, configuration: WireConfiguration, containers: Iterable[WireContainer]) -> None:
    """Raise ArmError 400 for an identity that the app does not have, and for a private image that nobody signs in for.

    An Azure registry lets nobody pull without signing in, and having an identity that may pull is not enough: without
    an entry for the server the service asks for the image anonymously.
    """
    identity = wire.identity or WireIdentity()
    for registry in configuration.registries or []:
        _check_registry(registry, identity)
    for setting in configuration.identity_settings or []:
        _check_is_assigned(setting.identity or "", identity)
        if setting.lifecycle is not None and setting.lifecycle not in _LIFECYCLES:
            raise _refused("IdentitySettings", f"lifecycle is one of {', '.join(_LIFECYCLES)}")
    servers = {(registry.server or "").lower() for registry in configuration.registries or []}
    for container in containers:
        server = (container.image or "").partition("/")[0].lower()
        if server.endswith(_PRIVATE) and server not in servers:
            raise unauthorized_image(container.name or "", container.image or "")


def unauthorized_image(container: str, image: str) -> ArmError:
    server = image.split("/", 1)[0]
    return invalid_image(
        container,
        image,
        f"GET https://{server}/oauth2/token: UNAUTHORIZED: authentication required, see the registry for details.",
    )


def _check_registry(registry: WireRegistry, identity: WireIdentity) -> None:
    if not registry.server:
        raise _refused("Registry", "a registry needs a server")
    if registry.identity:
        _check_is_assigned(registry.identity, identity)


def _check_is_assigned(wanted: str, identity: WireIdentity) -> None:
    if wanted.lower() == _SYSTEM:
        assigned = "systemassigned" in (identity.type or "").lower()
    else:
        known = {name.lower().rstrip("/") for name in identity.user_assigned_identities or {}}
        assigned = wanted.lower().rstrip("/") in known and "userassigned" in (identity.type or "").lower()
    if not assigned:
        raise _refused("Registry", f"identity '{wanted}' is not among the identities of the container app")


def _refused(what: str, why: str) -> ArmError:
    """The code is ours: the service's own was not seen."""
    return ArmError(400, f"ContainerApp{what}Invalid", f"Invalid Request: {why}.")
