"""What each region has, how long each stage takes, and the throttle buckets: the knobs of `/_capacity`."""

from __future__ import annotations

import copy
from collections.abc import Mapping

from localcloud.container_apps.catalog import DEFAULT_GPUS, ENVIRONMENTS
from localcloud.container_apps.records import Json

DELAYS = {
    "createSeconds": 0.0,
    "assignSeconds": 0.0,
    "pullSeconds": 0.0,
    "startSeconds": 0.0,
    "deleteSeconds": 0.0,
    # Kubernetes restarts a failing container at once, then after 10 s, doubling up to 5 minutes.
    "restartSeconds": 10.0,
    # The service waits up to terminationGracePeriodSeconds; locally never longer than this.
    "terminationSeconds": 600.0,
}
# Bucket size and refill a second: reference/azure.md 4.5.
BUCKETS = {"reads": [250, 25], "writes": [200, 10], "deletes": [200, 10]}
DEFAULT_PAGE_SIZE = 100


class UnknownSetting(ValueError):
    """The handle was given something that it does not know, or a value of the wrong kind."""


class Capacity:
    """The current knobs. A change holds from the next look of every running lifecycle."""

    def __init__(self, stored: Mapping[str, object] | None = None) -> None:
        self.reset()
        if stored:
            self.change(stored)

    def reset(self) -> None:
        """Go back to what holds at the first start: enough of everything, at once."""
        self._knobs: Json = {
            "gpus": {environment.location: dict(DEFAULT_GPUS) for environment in ENVIRONMENTS.values()},
            "quota": {name: dict(DEFAULT_GPUS) for name in ENVIRONMENTS},
            "virtualNetwork": {environment.location: False for environment in ENVIRONMENTS.values()},
            "throttle": copy.deepcopy(BUCKETS),
            "pageSize": DEFAULT_PAGE_SIZE,
            **DELAYS,
        }

    def view(self) -> Json:
        return copy.deepcopy(self._knobs)

    def change(self, changes: Mapping[str, object]) -> None:
        """Merge the changes in; raises UnknownSetting, changing nothing, when any of them is not understood."""
        changed = self.view()
        for name, value in changes.items():
            if name in {"gpus", "quota"}:
                _merge_counts(changed[name], name, value)
            elif name == "virtualNetwork":
                _merge_switches(changed[name], name, value)
            elif name == "throttle":
                _merge_buckets(changed[name], value)
            elif name in DELAYS:
                changed[name] = _non_negative(name, value)
            elif name == "pageSize":
                changed[name] = max(1, int(_non_negative(name, value)))
            else:
                raise UnknownSetting(f"'{name}' is not a setting; known are: {', '.join(sorted(self._knobs))}")
        self._knobs = changed

    def seconds(self, name: str) -> float:
        return float(self._knobs[name])

    def gpus(self, region: str, gpu_type: str) -> int:
        return int(self._knobs["gpus"].get(region, {}).get(gpu_type, 0))

    def quota(self, environment: str, gpu_type: str) -> int:
        return int(self._knobs["quota"].get(environment, {}).get(gpu_type, 0))

    def has_virtual_network(self, region: str) -> bool:
        return bool(self._knobs["virtualNetwork"].get(region))

    def bucket(self, kind: str) -> tuple[float, float]:
        size, refill = self._knobs["throttle"][kind]
        return float(size), float(refill)

    @property
    def page_size(self) -> int:
        return int(self._knobs["pageSize"])


def _non_negative(name: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
        raise UnknownSetting(f"'{name}' must be a number of 0 or more, not {value!r}")
    return float(value)


def _merge_counts(into: Json, name: str, value: object) -> None:
    if not isinstance(value, dict):
        raise UnknownSetting(f"'{name}' must be an object such as {{'westus3': {{'T4': 100}}}}")
    for place, counts in value.items():
        if place not in into or not isinstance(counts, dict):
            raise UnknownSetting(f"'{name}.{place}': known are {', '.join(into)}, each with counts by GPU type")
        for gpu_type, count in counts.items():
            if gpu_type not in DEFAULT_GPUS:
                raise UnknownSetting(f"'{name}.{place}.{gpu_type}': known GPU types are {', '.join(DEFAULT_GPUS)}")
            into[place][gpu_type] = int(_non_negative(f"{name}.{place}.{gpu_type}", count))


def _merge_switches(into: Json, name: str, value: object) -> None:
    if not isinstance(value, dict) or not set(value) <= set(into):
        raise UnknownSetting(f"'{name}' must be an object of {', '.join(into)}, each true or false")
    for place, wanted in value.items():
        if not isinstance(wanted, bool):
            raise UnknownSetting(f"'{name}.{place}' must be true or false, not {wanted!r}")
        into[place] = wanted


def _merge_buckets(into: Json, value: object) -> None:
    if not isinstance(value, dict) or not set(value) <= set(BUCKETS):
        raise UnknownSetting(f"'throttle' must be an object of {', '.join(BUCKETS)}, each [bucket, refill a second]")
    for kind, pair in value.items():
        if not isinstance(pair, list) or len(pair) != 2:
            raise UnknownSetting(f"'throttle.{kind}' must be [bucket, refill a second], not {pair!r}")
        into[kind] = [_non_negative(f"throttle.{kind}", number) for number in pair]
