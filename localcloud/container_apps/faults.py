"""The fault switches: every way in which the real service has been seen to fail, on demand.

A switch is set to a value, or to `{"value", "count", "app", "method"}`: at most `count` hits, only apps whose name
begins with `app`, only requests of `method`. A used-up switch stays listed (with count 0) until set again or cleared.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace

from localcloud.container_apps.capacity import UnknownSetting
from localcloud.container_apps.records import Json

MEANINGS = {
    "no_gpu": "true: no GPU is ever assigned; the app says Succeeded and its replica list stays empty",
    "profile_full": "true: the replica is listed as NotRunning, 'WorkLoad Profile Full', and never runs",
    "op_expired": "true: the create or update operation ends Failed, 'Operation expired.'; no replica comes",
    "cpu_only": "true: the container runs without its GPU, nvidia-smi fails in it",
    "image_unauthorized": "true: PUT and PATCH answer 400, the image cannot be pulled",
    "throttle": "429 with Retry-After: seconds, or {'n': requests, 'retry_after': seconds}",
    "html_503": "true: 503 with an HTML page for a body",
    "delete_stuck": "true: a delete is accepted and never ends; a repeated DELETE looks at the switch again",
    "exec_500_for": "seconds after the container started during which the exec handshake answers 500",
    "exec_idle_drop": "seconds without a frame in either direction after which exec is cut off without a close frame",
    "token_ttl": "seconds that a new exec token is valid (otherwise an hour)",
    "poll_403": "true: operation statuses and results answer 403",
    "status_500": "true: 500 before anything was done",
    "drop_after": "true: a write takes effect, then the connection is cut off without an answer",
    "conflict_for": "seconds of 409 for an app's writes, counted from its first refused one",
    "delete_conflict_for": "seconds of 409 for an app's deletes, counted from its first refused one",
    "exec_drop_after": "exec is cut off after this many seconds, or {'seconds': n}, or {'bytes': n} of output, or"
    " {'frames': n} of either direction, the n-th of which passes",
    "exec_text_only": "true: exec closes the socket (1003) at the first binary frame of input",
    "exec_not_clean": "true: exec takes input for UTF-8, frame by frame: what is none becomes U+FFFD",
    "no_python": "true: the container's python3 does not work",
    "replica_never": "true: the replica is listed and its container stays Waiting for ever",
    "replica_crash": "true: the container ends with exit code 1 as soon as it has started",
    "app_lost": "seconds after its container started at which the app vanishes without a request or an event",
    "list_fails_on_page": "page number (from 1) of an app list that answers 500",
    "system_log_away": "true: the system log of apps answers 503",
    "usages_500": "true: the usages of environments answer 500",
    "arm_403": "true: every ARM request answers 403 AuthorizationFailed",
    "latency_s": "seconds that every ARM request waits before anything else",
}
_NUMBERS = {
    "exec_500_for",
    "exec_idle_drop",
    "token_ttl",
    "conflict_for",
    "delete_conflict_for",
    "app_lost",
    "list_fails_on_page",
    "latency_s",
}
_OBJECTS = {"throttle": {"n", "retry_after"}, "exec_drop_after": {"bytes", "seconds", "frames"}}
_LIMITS = {"value", "count", "app", "method"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Switch:
    """A set switch; `count` is the number of hits left, None for no limit."""

    value: object
    count: int | None = None
    app: str | None = None
    method: str | None = None


class Faults:
    """The switches that are set. `hit` uses one up, `peek` and `standing` only look."""

    def __init__(self, stored: Mapping[str, object] | None = None, *, on_hit: Callable[[], None]) -> None:
        self._switches: dict[str, Switch] = {}
        self._on_hit = on_hit
        if stored:
            self.change(stored)

    def change(self, changes: Mapping[str, object]) -> None:
        """Merge: a value sets a switch, false or null clears it. Raises UnknownSetting, changing nothing."""
        unknown = sorted(set(changes) - set(MEANINGS))
        if unknown:
            raise UnknownSetting(f"unknown fault switches: {', '.join(unknown)}; known are: {', '.join(MEANINGS)}")
        parsed = {name: _parse(name, value) for name, value in changes.items()}
        for name, switch in parsed.items():
            if switch is None:
                self._switches.pop(name, None)
            else:
                self._switches[name] = switch

    def clear(self) -> None:
        self._switches.clear()

    def stored(self) -> Json:
        return {name: asdict(switch) for name, switch in self._switches.items()}

    def view(self) -> Json:
        return {
            name: {**(asdict(self._switches[name]) if name in self._switches else {"value": None}), "meaning": meaning}
            for name, meaning in MEANINGS.items()
        }

    def standing(self, name: str, app: str | None) -> object | None:
        """Return the value while the switch is set for this app, used up or not; None otherwise."""
        switch = self._switches.get(name)
        return switch.value if switch is not None and _covers(switch, app, None) else None

    def peek(self, name: str, app: str | None) -> object | None:
        """Return what `hit` would, without counting."""
        switch = self._switches.get(name)
        return switch.value if switch is not None and switch.count != 0 and _covers(switch, app, None) else None

    def hit(self, name: str, app: str | None, method: str | None = None) -> object | None:
        """Return the value and count one hit, or None where the switch does not apply."""
        switch = self._switches.get(name)
        if switch is None or switch.count == 0 or not _covers(switch, app, method):
            return None
        if switch.count is not None:
            self._switches[name] = replace(switch, count=switch.count - 1)
            self._on_hit()
        return switch.value

    def seconds(self, name: str, app: str | None) -> float | None:
        """Hit a switch whose value is a number of seconds."""
        value = self.hit(name, app)
        return None if value is None else number(value)


def number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else 0.0


def _covers(switch: Switch, app: str | None, method: str | None) -> bool:
    if switch.app is not None and not (app or "").startswith(switch.app):
        return False
    return switch.method is None or method is None or switch.method == method


def _parse(name: str, given: object) -> Switch | None:
    limits: dict[str, object] = {}
    value = given
    if isinstance(given, dict) and "value" in given:
        if not set(given) <= _LIMITS:
            raise UnknownSetting(f"'{name}': a limited switch has {', '.join(sorted(_LIMITS))}, nothing else")
        value, limits = given["value"], given
    if value is None or value is False:
        return None
    count, app, method = limits.get("count"), limits.get("app"), limits.get("method")
    if isinstance(value, dict):
        value, count = _object(name, value, count)
    elif name in _NUMBERS and value is True:
        value = 0
    elif not isinstance(value, int | float):
        raise UnknownSetting(f"'{name}': {value!r} is not understood; {MEANINGS[name]}")
    if count is not None and (isinstance(count, bool) or not isinstance(count, int) or count < 0):
        raise UnknownSetting(f"'{name}.count' must be a whole number of 0 or more, not {count!r}")
    return Switch(
        value=value,
        count=count,
        app=None if app is None else str(app).lower(),
        method=None if method is None else str(method).upper(),
    )


def _object(name: str, value: Json, count: object) -> tuple[object, object]:
    if name not in _OBJECTS or not set(value) <= _OBJECTS[name]:
        raise UnknownSetting(f"'{name}': {value!r} is not understood; {MEANINGS[name]}")
    if name == "throttle":
        return value.get("retry_after", 1), value.get("n", count)
    return value, count
