"""What a region's Container Apps environment is and has left: facts that admission goes by, never a promise of a GPU.

A free GPU in the environment's quota is a limit that is not reached, not capacity (azure.md 1.4).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from azure.core.credentials import TokenCredential
from azure.core.exceptions import AzureError

from shared.domain.pricing import GpuType
from shared.ports.arm_client import asked, container_apps_client, environment_place
from shared.ports.container_apps import ArmUnknown
from shared.ports.recent_answers import RecentAnswers

ASKED_EVERY_S = 30.0
REMEMBERED_S = 600.0
QUOTA_ROWS = {
    "managedenvironmentconsumptiont4gpus": GpuType.T4,
    "managedenvironmentconsumptionnca100gpus": GpuType.A100,
}
_TIME_LIMITS = {"connection_timeout": 2, "read_timeout": 3}


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvironmentFacts:
    """One look at an environment.

    `free` is quota less use by GPU type, in whole GPUs of 0 or more; a type without a row in the environment's usages
    is absent; None where the usages could not be read.
    """

    has_virtual_network: bool
    free: Mapping[GpuType, int] | None


class EnvironmentUnknown(Exception):
    """The environment could not be read, and what was read before is too old. Nothing follows from it."""


class Environments(Protocol):
    """The environments that sessions are placed in, by resource id."""

    def facts(self, environment_id: str) -> EnvironmentFacts:
        """Return the facts, at most 30 seconds old where Azure answers, else at most 10 minutes.

        Raise EnvironmentUnknown where Azure does not answer and nothing so young is remembered.
        """

    def known(self, environment_id: str) -> EnvironmentFacts | None:
        """Return what is remembered from the last 10 minutes, without asking."""

    def outdate(self, environment_id: str) -> None:
        """Let the next question be asked of Azure: a GPU there has just become free."""


class AzureEnvironments:
    """Environments in Azure Resource Manager. Azure is asked at most every 30 seconds for each, failures included."""

    def __init__(self, *, credential: TokenCredential, endpoint: str, subscription_id: str) -> None:
        self._client = container_apps_client(credential=credential, endpoint=endpoint, subscription_id=subscription_id)
        self._facts: RecentAnswers[str, EnvironmentFacts] = RecentAnswers(
            fresh_s=ASKED_EVERY_S, usable_s=REMEMBERED_S, again_s=ASKED_EVERY_S, unknown=EnvironmentUnknown
        )

    def facts(self, environment_id: str) -> EnvironmentFacts:
        return self._facts.recall(environment_id.lower(), lambda: self._ask(environment_id))

    def known(self, environment_id: str) -> EnvironmentFacts | None:
        return self._facts.known(environment_id.lower())

    def outdate(self, environment_id: str) -> None:
        self._facts.outdate(environment_id.lower())

    def _ask(self, environment_id: str) -> EnvironmentFacts:
        try:
            group, name = environment_place(environment_id)
            found = asked(
                lambda: self._client.managed_environments.get(group, name, **_TIME_LIMITS), f"environment {name}"
            )
        except ArmUnknown as error:
            raise EnvironmentUnknown(str(error)) from error
        if found is None:
            raise EnvironmentUnknown(f"Azure knows no environment {name} in resource group {group}")
        return EnvironmentFacts(has_virtual_network=_has_subnet(found), free=self._free(group, name))

    def _free(self, group: str, name: str) -> dict[GpuType, int] | None:
        """Return the free quota; the usages endpoint fails at times, and only advises (azure.md 1.4)."""
        try:
            rows = list(self._client.managed_environment_usages.list(group, name, **_TIME_LIMITS))
        except (AzureError, ValueError, TypeError, AttributeError):  # the last three: a body of another shape
            return None
        return free_quota(rows)


def free_quota(rows: list[Any]) -> dict[GpuType, int]:
    """Return what is free by the usage rows of an environment; rows that are not understood are passed over."""
    free: dict[GpuType, int] = {}
    for row in rows:
        if not isinstance(row, Mapping):
            continue
        gpu_type = QUOTA_ROWS.get(_name_of(row).lower())
        used, limit = _amount(row.get("currentValue")), _amount(row.get("limit"))
        if gpu_type is not None and used is not None and limit is not None:
            free[gpu_type] = max(0, math.floor(limit - used))
    return free


def _name_of(row: Mapping[str, Any]) -> str:
    name = row.get("name")
    return str(name.get("value") if isinstance(name, Mapping) else name)


def _amount(value: object) -> float | None:
    try:
        amount = float(str(value))
    except ValueError:
        return None
    return amount if math.isfinite(amount) else None


def _has_subnet(found: Any) -> bool:
    properties = found.get("properties") if isinstance(found, Mapping) else None
    network = properties.get("vnetConfiguration") if isinstance(properties, Mapping) else None
    return bool(network.get("infrastructureSubnetId")) if isinstance(network, Mapping) else False
