"""What exists locally before anything is created: one subscription, its group, environments and GPU profiles.

Profile sizes and quota row names: reference/azure.md 1.1 and 1.4.
"""

from __future__ import annotations

from dataclasses import dataclass

SUBSCRIPTION = "00000000-0000-0000-0000-00000000d0c5"
RESOURCE_GROUP = "devboxgpu-sessions"
_GROUP = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{RESOURCE_GROUP}"
TENANT = "11111111-1111-1111-1111-111111111111"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileType:
    """A workload profile type; `gpu` is None for plain compute. Sizes in cores and GiB."""

    type: str
    gpu: str | None
    cores: float
    memory_gib: float
    category: str
    quota_row: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """A managed environment; `profiles` maps a profile's name to its type."""

    name: str
    location: str
    profiles: dict[str, ProfileType]

    @property
    def id(self) -> str:
        return f"{_GROUP}/providers/Microsoft.App/managedEnvironments/{self.name}"

    @property
    def subnet_id(self) -> str:
        """The subnet that it lies in where its region is given a virtual network."""
        return f"{_GROUP}/providers/Microsoft.Network/virtualNetworks/{self.name}/subnets/sessions"


CONSUMPTION = ProfileType(
    type="Consumption",
    gpu=None,
    cores=4,
    memory_gib=8,
    category="Consumption",
    quota_row="ManagedEnvironmentConsumptionCores",
)
T4 = ProfileType(
    type="Consumption-GPU-NC8as-T4",
    gpu="T4",
    cores=8,
    memory_gib=56,
    category="Consumption-GPU",
    quota_row="ManagedEnvironmentConsumptionT4Gpus",
)
A100 = ProfileType(
    type="Consumption-GPU-NC24-A100",
    gpu="A100",
    cores=24,
    memory_gib=220,
    category="Consumption-GPU",
    quota_row="ManagedEnvironmentConsumptionNCA100Gpus",
)
PROFILE_TYPES = (CONSUMPTION, T4, A100)
DEFAULT_GPUS = {"T4": 100, "A100": 20}


def _environment(location: str) -> Environment:
    return Environment(
        name=f"gpu-{location}", location=location, profiles={"Consumption": CONSUMPTION, "gpu-t4": T4, "gpu-a100": A100}
    )


ENVIRONMENTS = {
    environment.name: environment for environment in map(_environment, ("westus3", "swedencentral", "australiaeast"))
}


def canonical_location(location: str) -> str:
    """Read `West US 3` and `westus3` as the same region, as ARM does."""
    return location.replace(" ", "").lower()


def environment_by_id(environment_id: str) -> Environment | None:
    wanted = environment_id.lower().rstrip("/")
    return next((found for found in ENVIRONMENTS.values() if found.id.lower() == wanted), None)
