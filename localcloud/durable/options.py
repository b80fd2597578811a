"""The engine's settings, read from the `durableTask` part of host.json."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass

_DEFAULT_HUB = "TestHubName"
_PER_CORE = 10
_POLLING_INTERVAL_S = 30.0
_TIME_SPAN = re.compile(r"(?:(\d+)\.)?(\d{1,2}):(\d{2}):(\d{2}(?:\.\d{1,7})?)")


class OptionsError(ValueError):
    """A setting in host.json cannot be used; the text names it and says what it should be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DurableOptions:
    """What host.json says about durable functions; defaults are those of the vendor's extension.

    Nothing is polled, leased or partitioned here. Of the storage provider's settings only the longest polling interval
    is read, since faults are late by it. `strict` and `as_azure` are no settings of host.json: whoever serves the app
    sets them (`dataclasses.replace`). With `strict`, each trap of the vendor's model that the engine can see ends in an
    error; with a seed in `as_azure`, the engine loses, repeats and delays as the vendor's was measured to.
    """

    hub_name: str = _DEFAULT_HUB
    max_concurrent_activities: int = _PER_CORE
    max_concurrent_orchestrators: int = _PER_CORE
    default_version: str | None = None
    version_match_strategy: str = "CurrentOrOlder"
    store_inputs_in_history: bool = False
    max_polling_interval_s: float = _POLLING_INTERVAL_S
    strict: bool = False
    as_azure: int | None = None

    @classmethod
    def from_host_json(cls, document: Mapping[str, object]) -> "DurableOptions":
        """Read a whole host.json document; raises OptionsError naming the setting that is wrong."""
        section = _section(_section(document, "extensions"), "durableTask")
        storage = _section(section, "storageProvider")
        cores = _PER_CORE * (os.cpu_count() or 1)
        return cls(
            hub_name=_text(section, "hubName", _DEFAULT_HUB),
            max_concurrent_activities=_whole(section, "maxConcurrentActivityFunctions", cores),
            max_concurrent_orchestrators=_whole(section, "maxConcurrentOrchestratorFunctions", cores),
            default_version=_text(section, "defaultVersion", "") or None,
            version_match_strategy=_text(section, "versionMatchStrategy", "CurrentOrOlder"),
            store_inputs_in_history=_truth(section, "storeInputsInOrchestrationHistory"),
            max_polling_interval_s=_seconds(storage, "maxQueuePollingInterval", _POLLING_INTERVAL_S),
        )


def _section(parent: Mapping[str, object], name: str) -> Mapping[str, object]:
    value = parent.get(name, {})
    if not isinstance(value, Mapping):
        raise OptionsError(f"host.json: {name} is {value!r}; it must be an object")
    return value


def _text(section: Mapping[str, object], name: str, default: str) -> str:
    value = section.get(name, default)
    if not isinstance(value, str):
        raise OptionsError(f"host.json: durableTask.{name} is {value!r}; it must be a text")
    return value


def _whole(section: Mapping[str, object], name: str, default: int) -> int:
    value = section.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise OptionsError(f"host.json: durableTask.{name} is {value!r}; it must be a whole number above 0")
    return value


def _truth(section: Mapping[str, object], name: str) -> bool:
    value = section.get(name, False)
    if not isinstance(value, bool):
        raise OptionsError(f"host.json: durableTask.{name} is {value!r}; it must be true or false")
    return value


def _seconds(section: Mapping[str, object], name: str, default: float) -> float:
    """A span as .NET writes it ("00:00:30"), in seconds."""
    value = section.get(name)
    if value is None:
        return default
    found = _TIME_SPAN.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise OptionsError(f"host.json: durableTask.storageProvider.{name} is {value!r}; it must be such as '00:00:30'")
    days, hours, minutes, seconds = found.groups()
    return ((int(days or 0) * 24 + int(hours)) * 60 + int(minutes)) * 60 + float(seconds)
