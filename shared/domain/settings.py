"""A project's GPU settings: the wire form, and what holds where a setting is absent. Bounds: settings_bounds.py.

Names follow Dev Center's `serverlessGpuSessionsSettings` where it has one (reference/azure.md 6.1).
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

import msgspec

from shared.domain.pricing import GpuType

PRESET_IMAGE = "mcr.microsoft.com/k8se/gpu-quickstart:latest"
DEFAULT_REGIONS = ("westus3", "swedencentral", "australiaeast")


class Mode(StrEnum):
    DISABLED = "Disabled"
    AUTO_DEPLOY = "AutoDeploy"


class ShellSharing(StrEnum):
    """Whether shells of one user may live in one session (DESIGN.md section 4)."""

    DEDICATED = "dedicated"
    SHARED = "shared"
    DEDICATED_THEN_SHARED = "dedicatedThenShared"


class Fairness(StrEnum):
    """Who of those that wait comes next."""

    FIFO = "fifo"
    FAIR_SHARE = "fairShare"


class Wire(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Base of everything on the wire: camelCase there, unknown fields refused."""


class ServerlessGpuSessionsSettings(Wire, frozen=True, kw_only=True):
    serverless_gpu_sessions_mode: Mode = Mode.DISABLED
    max_concurrent_sessions_per_project: int = 1


class GpuTypeSetting(Wire, frozen=True, kw_only=True):
    """An allowed GPU type. `fallback`: may be given to a session that named no type and cannot have an earlier one."""

    type: GpuType
    max_concurrent: int | None = None
    fallback: bool = False


class RegionSetting(Wire, frozen=True, kw_only=True):
    """A region that may be tried, in order. `environment_id` replaces the platform's environment of that region."""

    name: str
    environment_id: str | None = None
    order: int = 0


class RegistrySetting(Wire, frozen=True, kw_only=True):
    """A container registry of the customer's: its repositories (a final `/*` means all below), and who pulls."""

    server: str
    repositories: tuple[str, ...] = ()
    identity: str | None = None


class ImageSettings(Wire, frozen=True, kw_only=True):
    """Images that sessions may run. `allow_preset`: names of presets; true for all of them, false for none."""

    allow_preset: bool | tuple[str, ...] = True
    registries: tuple[RegistrySetting, ...] = ()
    default: str = PRESET_IMAGE
    require_digest: bool = False


class IdleSettings(Wire, frozen=True, kw_only=True):
    """When a session is taken for unused. `grace_minutes`: for how long one is kept with no client heard.

    It counts from the end of the last lease (150 s as a rule). A session that was quiet ends as idle meanwhile; one
    that was busy, by its GPU or a process, does not: so a laptop may sleep while a training runs.
    """

    timeout_minutes: float = 30.0
    warn_minutes: tuple[float, ...] = (5.0, 1.0)
    gpu_busy_percent: float = 10.0
    grace_minutes: float = 2.0


class LineSettings(Wire, frozen=True, kw_only=True):
    """The waiting line. Half-life and entry penalty belong to the fairness `fairShare` (shared/domain/fairness.py)."""

    enabled: bool = True
    max_length: int = 50
    timeout_minutes: float = 60.0
    fairness: Fairness = Fairness.FAIR_SHARE
    half_life_minutes: float = 1440.0
    entry_penalty_minutes: float = 10.0


class BudgetSettings(Wire, frozen=True, kw_only=True):
    monthly_amount: Decimal
    currency: str = "USD"
    alert_percents: tuple[int, ...] = (50, 80, 100)
    hard_stop: bool = False


class GpuSettings(Wire, frozen=True, kw_only=True):
    """All settings of a project. An absent field means the default written here."""

    serverless_gpu_sessions_settings: ServerlessGpuSessionsSettings = ServerlessGpuSessionsSettings()
    max_concurrent_sessions_per_user: int = 1
    gpu_types: tuple[GpuTypeSetting, ...] = (GpuTypeSetting(type=GpuType.T4),)
    regions: tuple[RegionSetting, ...] = tuple(
        RegionSetting(name=name, order=order) for order, name in enumerate(DEFAULT_REGIONS, start=1)
    )
    require_virtual_network: bool = False
    images: ImageSettings = ImageSettings()
    shell_sharing: ShellSharing = ShellSharing.DEDICATED
    idle: IdleSettings = IdleSettings()
    max_lifetime_minutes: float = 480.0
    extend_limit_minutes: float = 240.0
    line: LineSettings = LineSettings()
    budget: BudgetSettings | None = None
    labels: dict[str, str] = {}

    @property
    def enabled(self) -> bool:
        return self.serverless_gpu_sessions_settings.serverless_gpu_sessions_mode is Mode.AUTO_DEPLOY

    @property
    def project_cap(self) -> int:
        return self.serverless_gpu_sessions_settings.max_concurrent_sessions_per_project

    def cap_of_type(self, gpu_type: GpuType) -> int | None:
        """Return how many of this type may be reserved at once, None where the type is not allowed."""
        for entry in self.gpu_types:
            if entry.type is gpu_type:
                return self.project_cap if entry.max_concurrent is None else entry.max_concurrent
        return None

    def regions_in_order(self) -> tuple[RegionSetting, ...]:
        return tuple(sorted(self.regions, key=lambda region: region.order))


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingsBounds:
    """What the platform allows a project to set.

    The shortest time limit in minutes, the regions that it serves, the subscription that a project's own environments
    and identities must lie in, and whether the platform pulls images where a registry names no identity.
    """

    shortest_minutes: float
    regions: frozenset[str]
    subscription_id: str
    has_pull_identity: bool = False
