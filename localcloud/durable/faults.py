"""Faults of the vendor's engine, on demand: what it was seen to do under load and in crashes (durable-measured.md).

Without a switch set nothing is ever changed. Switches that draw lots do so from a seeded generator.
What stands in brackets in a meaning is the place in durable-measured.md where the fault was measured.
"""

import json
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from localcloud.durable.vendor_mix import VendorMix

_MEANING = {
    "seed": "whole number; starts the generator of lots anew",
    "asAzure": "whole number: the everyday faults in the measured proportions, drawn from this seed; null ends "
    "it [findings 1, 3, 4, 7; sections 1 to 3]",
    "loseEvents": "the next events are answered 202 and lost: {count, skip?, instance?, name?}; skip lets so many pass "
    "[finding 1a]",
    "loseBesideTimers": "the next events that come together with a timer of an earlier generation are lost: "
    "{count, skip?, instance?, name?} [finding 1a, section 3]",
    "loseTerminates": "the next terminates are answered 202 and lost: {count, skip?, instance?} [finding 1b]",
    "failEpisodes": "the next episodes end as those of a killed worker do, Failed: {count, skip?, instance?, now?}; "
    "now gives every matching running instance an episode at once [finding 5, section 4]",
    "failActivities": "the next activities end as lost with their worker, whether they ran or not: "
    "{count, skip?, instance?, name?} [finding 5, section 4]",
    "killWorker": "true: all activities and episodes that run now end as with a killed worker; works once "
    "[finding 5, section 4: only the worker killed]",
    "timersEarly": "timers fire up to so many seconds early: {upToSeconds} [finding 3]",
    "timersInWholeSeconds": "true: the time to a timer is cut to whole seconds, as the vendor's queue does it "
    "[finding 3]",
    "timersLate": "timers fire up to so many seconds late: {upToSeconds} [finding 4, section 1]",
    "startsLate": "starts are seen only so many seconds later: {seconds} [section 1: put back for 2 s]",
    "fetchedWorkLate": "after a restart, what was in hand comes back only after so many seconds: {seconds}; "
    "the one switch that outlives the host [finding 6, section 4]",
    "repeatFirstActivities": "activities of an episode are run once before it commits, and again after: {count, ...} "
    "[finding 7]",
    "storageAway": "for so many seconds from now nothing can be stored: {seconds}; calls answer 500 after 5 to 6 s, "
    "work goes on 19 to 49 s after the return, and what was running then runs again [section 4: storage away]",
}
_WHOLE_SECONDS = "timersInWholeSeconds"
_AS_AZURE = "asAzure"
_STORAGE_AWAY = "storageAway"
_BACK_AFTER_S = (19.0, 49.0)
_RULES = ("loseEvents", "loseBesideTimers", "loseTerminates", "failEpisodes", "failActivities", "repeatFirstActivities")
_SPANS = {
    "timersEarly": "upToSeconds",
    "timersLate": "upToSeconds",
    "startsLate": "seconds",
    "fetchedWorkLate": "seconds",
    _STORAGE_AWAY: "seconds",
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
    polling_s: float = 1.0
    mix: VendorMix | None = None
    _back_at: datetime | None = None

    # -- what the engine asks -----------------------------------------------------------------------------------
    def loses_event(self, instance_id: str, name: str) -> bool:
        return self._strikes("loseEvents", instance_id, name)

    def loses_beside_timer(self, instance_id: str, name: str) -> bool:
        return self._strikes("loseBesideTimers", instance_id, name)

    def note_stale_timer(self, now: datetime, instance_id: str) -> None:
        """A timer of an earlier generation has come due."""
        if self.mix is not None:
            self.mix.note_stale_timer(now, instance_id)

    def loses_near_stale_timer(self, now: datetime, instance_id: str) -> bool:
        """Whether the mix has a stale timer take an event that comes now."""
        return self.mix is not None and self.mix.loses_event(now, instance_id) and self._count("loseBesideTimers")

    def note_continued(self, now: datetime, instance_id: str) -> None:
        """A new generation of an instance has begun."""
        if self.mix is not None:
            self.mix.note_continued(now, instance_id)

    def loses_terminate(self, now: datetime, instance_id: str) -> bool:
        if self.mix is not None and self.mix.loses_terminate(now, instance_id):
            return self._count("loseTerminates")
        return self._strikes("loseTerminates", instance_id)

    def loses_terminate_in_batch(self) -> bool:
        """Whether a terminate loses that comes in the very batch in which the instance continues as new."""
        return self.mix is not None and self._count("loseTerminates")

    def fails_episode(self, instance_id: str) -> bool:
        return self._strikes("failEpisodes", instance_id)

    def fails_activity(self, instance_id: str, name: str) -> bool:
        return self._strikes("failActivities", instance_id, name)

    def repeats_activity(self, instance_id: str, name: str, *, is_first: bool) -> bool:
        if is_first and self.mix is not None and self.mix.repeats_first_activity(instance_id):
            return self._count("repeatFirstActivities")
        return self._strikes("repeatFirstActivities", instance_id, name)

    def timer_due(self, now: datetime, fire_at: datetime, instance_id: str) -> datetime:
        """When the message of a timer that is set now is to be seen."""
        if self.mix is not None:
            return self.mix.timer_due(now, fire_at, instance_id)
        if self._whole_seconds:
            fire_at = now + timedelta(seconds=(fire_at - now) // timedelta(seconds=1))
        early, late = self._spans.get("timersEarly", 0.0), self._spans.get("timersLate", 0.0)
        if not early and not late:
            return fire_at
        return fire_at + timedelta(seconds=self._lots.uniform(-early, late))

    def start_seen(self, now: datetime, instance_id: str) -> datetime:
        late = timedelta(seconds=self._spans.get("startsLate", 0.0))
        return (now if self.mix is None else self.mix.start_seen(now, instance_id)) + late

    def storage_back_at(self, now: datetime) -> datetime | None:
        """When the storage comes back that is away now; None where it is there."""
        if self._back_at is not None and now >= self._back_at:
            self._back_at = None
            self._spans.pop(_STORAGE_AWAY, None)
        return self._back_at

    def work_goes_on_at(self, back_at: datetime) -> datetime:
        """When a piece of work that met the outage is taken up again."""
        self._count(_STORAGE_AWAY)
        return back_at + timedelta(seconds=self._lots.uniform(*_BACK_AFTER_S))

    def fetched_work_seen(self, now: datetime) -> datetime:
        """When work comes back that an earlier host had in hand."""
        return now + timedelta(seconds=self._spans.get("fetchedWorkLate", 0.0))

    def _strikes(self, switch: str, instance_id: str, name: str | None = None) -> bool:
        rule = self._rules.get(switch)
        if rule is None or not rule.strikes(instance_id, name):
            return False
        return self._count(switch)

    def _count(self, switch: str) -> bool:
        self.struck[switch] = self.struck.get(switch, 0) + 1
        return True

    # -- the switches -------------------------------------------------------------------------------------------
    def shown(self) -> dict[str, Any]:
        """The switches that are set, what each means, and how often each has struck."""
        switches: dict[str, Any] = {name: rule.shown() for name, rule in self._rules.items()}
        switches |= {name: {_SPANS[name]: value} for name, value in self._spans.items()}
        if self._whole_seconds:
            switches[_WHOLE_SECONDS] = True
        if self.mix is not None:
            switches[_AS_AZURE] = self.mix.seed
        return {"faults": switches, "struck": dict(self.struck), "meaning": _MEANING}

    def recall(self, path: Path) -> None:
        """Read what an earlier host was told that outlives it; a missing file tells nothing."""
        if path.exists():
            self.change(json.loads(path.read_text(encoding="utf-8")), now=None)

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
        self.mix = self._back_at = None
        self.struck.clear()

    def change(self, wanted: Mapping[str, Any], *, now: datetime | None = None) -> None:
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
        mix = VendorMix(_seed(wanted[_AS_AZURE]), self.polling_s) if wanted.get(_AS_AZURE) is not None else None
        lots = _lots(wanted["seed"]) if "seed" in wanted else self._lots
        self._rules, self._spans, self._lots = rules, spans, lots
        if _AS_AZURE in wanted:
            self.mix = mix
        if _STORAGE_AWAY in wanted:
            away = spans.get(_STORAGE_AWAY)
            self._back_at = None if away is None or now is None else now + timedelta(seconds=away)
        self._whole_seconds = bool(wanted.get(_WHOLE_SECONDS, self._whole_seconds))

    def instances_to_wake(self, wanted: Mapping[str, Any]) -> str | None:
        """The prefix of the instances that a change wants to have an episode now; None where it wants none."""
        setting = wanted.get("failEpisodes")
        return setting.get("instance", "") if isinstance(setting, Mapping) and setting.get("now") else None


def _seed(seed: object) -> int:
    if isinstance(seed, bool) or not isinstance(seed, int):
        raise FaultsError(f"seed is {seed!r}; it must be a whole number")
    return seed


def _lots(seed: object) -> random.Random:
    return random.Random(_seed(seed))  # noqa: S311  # lots for tests, not secrets


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
