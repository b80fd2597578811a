"""The engine's settings, read from the `durableTask` part of host.json."""

import os
from collections.abc import Mapping
from dataclasses import dataclass

_DEFAULT_HUB = "TestHubName"
_PER_CORE = 10


class OptionsError(ValueError):
    """A setting in host.json cannot be used; the text names it and says what it should be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DurableOptions:
    """What host.json says about durable functions; defaults are those of the vendor's extension.

    Settings of the storage provider mean nothing here: nothing is polled, leased or partitioned.
    """

    hub_name: str = _DEFAULT_HUB
    max_concurrent_activities: int = _PER_CORE
    max_concurrent_orchestrators: int = _PER_CORE
    default_version: str | None = None
    version_match_strategy: str = "CurrentOrOlder"
    store_inputs_in_history: bool = False
    strict: bool = False
    """Each trap of reference/functions-host.md 7.2 that can be seen ends in an error; set by the host's command line."""
    as_azure: int | None = None
    """The seed of the vendor's own faults, mixed as measured; None for an exact engine. Set by the command line."""

    @classmethod
    def from_host_json(cls, document: Mapping[str, object]) -> "DurableOptions":
        """Read a whole host.json document; raises OptionsError naming the setting that is wrong."""
        section = _section(_section(document, "extensions"), "durableTask")
        cores = _PER_CORE * (os.cpu_count() or 1)
        return cls(
            hub_name=_text(section, "hubName", _DEFAULT_HUB),
            max_concurrent_activities=_whole(section, "maxConcurrentActivityFunctions", cores),
            max_concurrent_orchestrators=_whole(section, "maxConcurrentOrchestratorFunctions", cores),
            default_version=_text(section, "defaultVersion", "") or None,
            version_match_strategy=_text(section, "versionMatchStrategy", "CurrentOrOlder"),
            store_inputs_in_history=_truth(section, "storeInputsInOrchestrationHistory"),
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
