"""Faults of the vendor's engine, on demand: what it was seen to do under load and in crashes (durable-measured.md).

Without a switch set nothing is ever changed. Switches that draw lots do so from a seeded generator.
"""

import json
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

_MEANING = {
    "seed": "whole number; starts the generator of lots anew",
    "loseEvents": "the next events are answered 202 and lost: {count, skip?, instance?, name?}; skip lets so many pass",
    "loseBesideTimers": "the next events that come together with a timer of an earlier generation are lost: "
    "{count, skip?, instance?, name?}",
    "loseTerminates": "the next terminates are answered 202 and lost: {count, skip?, instance?}",
    "failEpisodes": "the next episodes end as those of a killed worker do, Failed: {count, skip?, instance?, now?}; "
    "now gives every matching running instance an episode at once",
    "failActivities": "the next activities end as lost with their worker, whether they ran or not: "
    "{count, skip?, instance?, name?}",
    "killWorker": "true: all activities and episodes that run now end as with a killed worker; works once",
    "timersEarly": "timers fire up to so many seconds early: {upToSeconds}",
    "timersInWholeSeconds": "true: the time to a timer is cut to whole seconds, as the vendor's queue does it",
    "timersLate": "timers fire up to so many seconds late: {upToSeconds}",
    "startsLate": "starts are seen only so many seconds later: {seconds}",
    "fetchedWorkLate": "after a restart, what was in hand comes back only after so many seconds: {seconds}; "
    "the one switch that outlives the host",
    "repeatFirstActivities": "activities of an episode are run once before it commits, and again after: {count, ...}",
}
_WHOLE_SECONDS = "timersInWholeSeconds"
_RULES = ("loseEvents", "loseBesideTimers", "loseTerminates", "failEpisodes", "failActivities", "repeatFirstActivities")
_SPANS = {
    "timersEarly": "upToSeconds",
    "timersLate": "upToSeconds",
    "startsLate": "seconds",
    "fetchedWorkLate": "seconds",
}


class FaultsError(ValueError):
    """A switch that does not exist, or a setting that it does not take."""


@dataclass(slots=True)
class _Rule:
    """Strikes `count` times at what matches, after letting `skip` pass; `instance` is a prefix of instance ids."""

    count: int
    skip: int = 0
    instance: str = ""
    name: str | None = None
    struck: int = 0

    def matches(self, instance_id: str, name: str | None = None) -> bool:
        return instance_id.startswith(self.instance) and (
            self.name is None or (name or "").lower() == self.name.lower()
        )

    def strikes(self, instance_id: str, name: str | None = None) -> bool:
        if self.count <= 0 or not self.matches(instance_id, name):
            return False
        if self.skip > 0:
            self.skip -= 1
            return False
        self.count -= 1
        self.struck += 1
        return True

    def shown(self) -> dict[str, Any]:
        return {
            "count": self.count, "skip": self.skip, "instance": self.instance, "name": self.name, "struck": self.struck
        }  # fmt: skip


@dataclass(slots=True)
class Faults:
    """The switches as they stand; the engine asks at each point where it could go wrong."""

    _rules: dict[str, _Rule] = field(default_factory=dict)
    _spans: dict[str, float] = field(default_factory=dict)
    _whole_seconds: bool = False
    _lots: random.Random = field(default_factory=lambda: _lots(0))
    struck: dict[str, int] = field(default_factory=dict)

    # -- what the engine asks -----------------------------------------------------------------------------------
    def loses_event(self, instance_id: str, name: str) -> bool:
        return self._strikes("loseEvents", instance_id, name)

    def loses_beside_timer(self, instance_id: str, name: str) -> bool:
        return self._strikes("loseBesideTimers", instance_id, name)

    def loses_terminate(self, instance_id: str) -> bool:
        return self._strikes("loseTerminates", instance_id)

    def fails_episode(self, instance_id: str) -> bool:
        return self._strikes("failEpisodes", instance_id)

    def fails_activity(self, instance_id: str, name: str) -> bool:
        return self._strikes("failActivities", instance_id, name)

    def repeats_activity(self, instance_id: str, name: str) -> bool:
        return self._strikes("repeatFirstActivities", instance_id, name)

    def timer_due(self, now: datetime, fire_at: datetime) -> datetime:
        """When the message of a timer that is set now is to be seen."""
        if self._whole_seconds:
            fire_at = now + timedelta(seconds=(fire_at - now) // timedelta(seconds=1))
        early, late = self._spans.get("timersEarly", 0.0), self._spans.get("timersLate", 0.0)
        if not early and not late:
            return fire_at
        return fire_at + timedelta(seconds=self._lots.uniform(-early, late))

    def start_seen(self, now: datetime) -> datetime:
        return now + timedelta(seconds=self._spans.get("startsLate", 0.0))

    def fetched_work_seen(self, now: datetime) -> datetime:
        """When work comes back that an earlier host had in hand."""
        return now + timedelta(seconds=self._spans.get("fetchedWorkLate", 0.0))

    def _strikes(self, switch: str, instance_id: str, name: str | None = None) -> bool:
        rule = self._rules.get(switch)
        if rule is None or not rule.strikes(instance_id, name):
            return False
        self.struck[switch] = self.struck.get(switch, 0) + 1
        return True

    # -- the switches -------------------------------------------------------------------------------------------
    def shown(self) -> dict[str, Any]:
        """The switches that are set, what each means, and how often each has struck."""
        switches: dict[str, Any] = {name: rule.shown() for name, rule in self._rules.items()}
        switches |= {name: {_SPANS[name]: value} for name, value in self._spans.items()}
        if self._whole_seconds:
            switches[_WHOLE_SECONDS] = True
        return {"faults": switches, "struck": dict(self.struck), "meaning": _MEANING}

    def recall(self, path: Path) -> None:
        """Read what an earlier host was told that outlives it; a missing file tells nothing."""
        if path.exists():
            self.change(json.loads(path.read_text(encoding="utf-8")))

    def remember(self, path: Path) -> None:
        """Keep for the next host what is to outlive this one."""
        late = self._spans.get("fetchedWorkLate")
        if late is None:
            path.unlink(missing_ok=True)
        else:
            path.write_text(json.dumps({"fetchedWorkLate": {"seconds": late}}), encoding="utf-8")

    def clear(self) -> None:
        self._rules.clear()
        self._spans.clear()
        self._whole_seconds = False
        self.struck.clear()

    def change(self, wanted: Mapping[str, Any]) -> None:
        """Set the given switches and leave the others; null clears one. Raises FaultsError and then changes none."""
        rules, spans = dict(self._rules), dict(self._spans)
        for switch, setting in wanted.items():
            if switch not in _MEANING:
                raise FaultsError(f"there is no fault switch {switch!r}; there are {', '.join(_MEANING)}")
            rules.pop(switch, None)
            spans.pop(switch, None)
            if switch in _RULES and setting is not None:
                rules[switch] = _rule(switch, setting)
            elif switch in _SPANS and setting is not None:
                spans[switch] = _span(switch, setting)
        self._rules, self._spans = rules, spans
        self._whole_seconds = bool(wanted.get(_WHOLE_SECONDS, self._whole_seconds))
        if "seed" in wanted:
            self._lots = _lots(wanted["seed"])

    def instances_to_wake(self, wanted: Mapping[str, Any]) -> str | None:
        """The prefix of the instances that a change wants to have an episode now; None where it wants none."""
        setting = wanted.get("failEpisodes")
        return setting.get("instance", "") if isinstance(setting, Mapping) and setting.get("now") else None


def _lots(seed: object) -> random.Random:
    if not isinstance(seed, int):
        raise FaultsError(f"seed is {seed!r}; it must be a whole number")
    return random.Random(seed)  # noqa: S311  # lots for tests, not secrets


def _rule(switch: str, setting: object) -> _Rule:
    if not isinstance(setting, Mapping):
        raise FaultsError(f"{switch} takes an object: {_MEANING[switch]}")
    unknown = set(setting) - {"count", "skip", "instance", "name", "now"}
    if unknown:
        raise FaultsError(f"{switch} does not take {', '.join(sorted(unknown))}: {_MEANING[switch]}")
    count, skip = setting.get("count", 1), setting.get("skip", 0)
    if not isinstance(count, int) or not isinstance(skip, int):
        raise FaultsError(f"{switch}: count and skip are whole numbers")
    return _Rule(count=count, skip=skip, instance=setting.get("instance", ""), name=setting.get("name"))


def _span(switch: str, setting: object) -> float:
    value = setting.get(_SPANS[switch]) if isinstance(setting, Mapping) else setting
    if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
        raise FaultsError(f"{switch} takes {{{_SPANS[switch]!r}: number}}: {_MEANING[switch]}")
    return float(value)
