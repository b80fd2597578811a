"""Where a session is tried, and where next: the allowed regions and GPU types in order, the likely short ones last."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from shared.domain.memory import Remembered, likely_short
from shared.domain.pricing import GpuType, Rate
from shared.domain.settings import GpuSettings


@dataclass(frozen=True, slots=True)
class Place:
    """A region, and the GPU type that is tried there."""

    region: str
    gpu_type: GpuType

    def __str__(self) -> str:
        return f"{self.region}/{self.gpu_type}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """What is known of Azure without asking it: GPUs that the quota leaves, what earlier sessions met, list prices.

    `regions`: where the project's sessions can be placed.
    """

    regions: tuple[str, ...] = ()
    free: Mapping[Place, int] = field(default_factory=dict)
    memory: Mapping[Place, Remembered] = field(default_factory=dict)
    rates: Mapping[Place, Rate] = field(default_factory=dict)

    def is_doubtful(self, place: Place, now: datetime) -> bool:
        return self.free.get(place, 1) <= 0 or likely_short(self.memory.get(place), now)

    def dearest(self) -> dict[GpuType, Rate]:
        """Return the highest known price by type: what a session may cost that is not placed yet."""
        found: dict[GpuType, Rate] = {}
        for place, rate in self.rates.items():
            known = found.get(place.gpu_type)
            if known is None or rate.amount_per_second > known.amount_per_second:
                found[place.gpu_type] = rate
        return found

    def quota(self) -> dict[GpuType, int]:
        """Return the GPUs left by type in all regions; a type that is unknown in one of them is left out."""
        left: dict[GpuType, int] = {}
        for gpu_type in GpuType:
            known = [self.free.get(Place(region, gpu_type)) for region in self.regions]
            counts = [count for count in known if count is not None]
            if counts and len(counts) == len(known):
                left[gpu_type] = sum(counts)
        return left


def environments_of(settings: GpuSettings, served: Mapping[str, str]) -> dict[str, str]:
    """Return environment ids by region in the project's order: its own, else the platform's; others are passed over."""
    found: dict[str, str] = {}
    for region in settings.regions_in_order():
        environment = region.environment_id or served.get(region.name)
        if environment is not None:
            found[region.name] = environment
    return found


def next_place(
    regions: Sequence[str], gpu_types: Sequence[GpuType], tried: Collection[Place], outlook: Outlook, now: datetime
) -> Place | None:
    """Return where to try next: GPU types in order, regions in order within a type, doubtful ones of a type last."""
    for gpu_type in gpu_types:
        left = [place for region in regions if (place := Place(region, gpu_type)) not in tried]
        if left:
            return min(left, key=lambda place: outlook.is_doubtful(place, now))
    return None
