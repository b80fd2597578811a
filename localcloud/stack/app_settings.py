"""The settings that the function app gets from the local cloud: the same names that it has in Azure, in one place."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from localcloud.dev_center import catalogue as dev_center
from localcloud.identity import people
from localcloud.stack.addresses import Addresses

SUBSCRIPTION = "00000000-0000-0000-0000-00000000d0c5"
RESOURCE_GROUP = "devboxgpu-sessions"
REGIONS = ("westus3", "swedencentral", "australiaeast")
TOKEN_AUDIENCE = "api://devboxgpu"  # noqa: S105 - the app's public name, not a credential
PREFIX = "DEVBOXGPU_"


@dataclass(frozen=True, slots=True, kw_only=True)
class AppSecrets:
    """What the platform gives the app to prove itself with, made up for one state folder."""

    identity_header: str
    topic_key: str


def app_settings(addresses: Addresses, secrets: AppSecrets) -> dict[str, str]:
    """Return the settings that tell the app where the local cloud's services are and who it is there."""
    identity = addresses.origin("identity")
    return {
        "AzureWebJobsStorage": addresses.storage,
        "FUNCTIONS_WORKER_RUNTIME": "python",
        "IDENTITY_ENDPOINT": f"{identity}/msi/token",
        "IDENTITY_HEADER": secrets.identity_header,
        "DEVBOXGPU_TABLES_CONNECTION": addresses.storage,
        "DEVBOXGPU_ARM_ENDPOINT": addresses.origin("arm"),
        "DEVBOXGPU_SUBSCRIPTION_ID": SUBSCRIPTION,
        "DEVBOXGPU_RESOURCE_GROUP": RESOURCE_GROUP,
        "DEVBOXGPU_TOKEN_ISSUER": f"{identity}/{people.TENANT}/v2.0",
        "DEVBOXGPU_TOKEN_AUDIENCE": TOKEN_AUDIENCE,
        "DEVBOXGPU_TOKEN_JWKS_URL": f"{identity}/{people.TENANT}/discovery/v2.0/keys",
        "DEVBOXGPU_TENANT_IDS": people.TENANT,
        "DEVBOXGPU_DEV_CENTER_ENDPOINT": addresses.origin("dev_center"),
        "DEVBOXGPU_DEV_CENTER_GROUP": dev_center.RESOURCE_GROUP,
        "DEVBOXGPU_DEV_CENTER_ARM_ENDPOINT": addresses.origin("dev_center"),
        "DEVBOXGPU_PRICES_ENDPOINT": addresses.origin("prices"),
        "DEVBOXGPU_COST_ENDPOINT": addresses.origin("costs"),
        "DEVBOXGPU_COST_SCOPE": f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{RESOURCE_GROUP}",
        "DEVBOXGPU_EVENT_TOPIC_ENDPOINT": f"{addresses.origin('event_grid')}/api/events",
        "DEVBOXGPU_EVENT_TOPIC_KEY": secrets.topic_key,
        "DEVBOXGPU_PLATFORM_NAME": "local",
        # one machine plays a whole company: crowds and benchmarks call as one user as fast as they can
        "DEVBOXGPU_USER_REQUESTS_PER_MINUTE": "60000",
        "DEVBOXGPU_USER_OPENINGS_PER_MINUTE": "6000",
        "DEVBOXGPU_PROJECT_REQUESTS_PER_MINUTE": "600000",
        "DEVBOXGPU_SHELLS_PER_USER": "1000",
        "DEVBOXGPU_ENVIRONMENTS": json.dumps({region: environment_id(region) for region in REGIONS}),
    }


def host_environment(
    addresses: Addresses,
    secrets: AppSecrets,
    *,
    caller: Mapping[str, str],
    overrides: Mapping[str, str],
) -> dict[str, str]:
    """Return the whole environment of the functions host.

    The caller's own `DEVBOXGPU_*` add to the local cloud's settings but cannot point the app elsewhere; `overrides`
    win over everything.
    """
    settings = app_settings(addresses, secrets)
    return {**without_proxy(caller), **settings, **overrides}


def without_proxy(caller: Mapping[str, str]) -> dict[str, str]:
    """Return the environment with loopback taken out of any proxy's way."""
    exempt = ",".join(filter(None, [caller.get("NO_PROXY") or caller.get("no_proxy"), "127.0.0.1", "localhost"]))
    return {**caller, "NO_PROXY": exempt, "no_proxy": exempt, "PYTHONUNBUFFERED": "1"}


def environment_id(region: str) -> str:
    """Return the resource id of the Container Apps environment in a region."""
    group = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{RESOURCE_GROUP}"
    return f"{group}/providers/Microsoft.App/managedEnvironments/gpu-{region}"
