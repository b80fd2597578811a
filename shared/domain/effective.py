"""The settings as they hold: a project's own within what its Dev Center allows, and where each of them comes from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from shared.domain.errors import ErrorCode, Problem
from shared.domain.governance import Governance
from shared.domain.settings import GpuSettings, Mode

SECTION = "serverlessGpuSessionsSettings"
MODE = "serverlessGpuSessionsMode"
CAP = "maxConcurrentSessionsPerProject"
TIGHTEST = Governance(mode=Mode.DISABLED, max_concurrent=1, mode_locked=True, cap_locked=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lock:
    """A setting that a Dev Center policy bounds, so that the project cannot write beyond the bound."""

    setting: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Effective:
    """Settings as they hold; by the dotted place of each who decided it; what is locked."""

    settings: GpuSettings
    sources: Mapping[str, str]
    locks: tuple[Lock, ...]


def bounded(settings: GpuSettings, governance: Governance) -> GpuSettings:
    """Return the settings as they hold under Dev Center's bounds: the very same where these change nothing."""
    own = settings.serverless_gpu_sessions_settings
    cap = own.max_concurrent_sessions_per_project
    if governance.max_concurrent is not None:
        cap = min(cap, governance.max_concurrent)
    mode = Mode.DISABLED if governance.mode is Mode.DISABLED else own.serverless_gpu_sessions_mode
    if (mode, cap) == (own.serverless_gpu_sessions_mode, own.max_concurrent_sessions_per_project):
        return settings
    held = msgspec.structs.replace(own, serverless_gpu_sessions_mode=mode, max_concurrent_sessions_per_project=cap)
    return msgspec.structs.replace(settings, serverless_gpu_sessions_settings=held)


def effective(settings: GpuSettings, governance: Governance, *, stored: bool) -> Effective:
    """Return how the settings hold. `stored`: whether anybody has written them; else all of them are defaults."""
    held = bounded(settings, governance)
    sources = {place: "project" if stored and differs else "default" for place, differs in _leaves(settings, "")}
    mode, cap = f"{SECTION}.{MODE}", f"{SECTION}.{CAP}"
    if governance.mode is Mode.DISABLED and governance.mode_locked:
        sources[mode] = "policy"
    elif held.enabled is not settings.enabled:
        sources[mode] = "devCenter"
    if governance.cap_locked and governance.max_concurrent == held.project_cap:
        sources[cap] = "policy"
    elif held.project_cap < settings.project_cap:
        sources[cap] = "devCenter"
    return Effective(settings=held, sources=sources, locks=tuple(_locks(governance)))


def lock_problems(said: Mapping[str, Any], settings: GpuSettings, governance: Governance) -> list[Problem]:
    """Return what a write says beyond a lock. `said`: its own words; `settings`: what they make of the settings.

    What a write does not name breaks no lock. A value beyond a bound that is not locked is no fault: it is written,
    and holds as far as the bound allows.
    """
    section = said.get(SECTION)
    named = section if isinstance(section, dict) else {}
    cap = settings.project_cap
    broken = {
        f"{SECTION}.{MODE}": MODE in named and settings.enabled,
        f"{SECTION}.{CAP}": CAP in named and governance.max_concurrent is not None and cap > governance.max_concurrent,
    }
    return [
        Problem(code=ErrorCode.SETTING_LOCKED_BY_POLICY, target=lock.setting, message=lock.message)
        for lock in _locks(governance)
        if broken[lock.setting]
    ]


def may_break_a_lock(said: Mapping[str, Any], settings: GpuSettings) -> bool:
    """Tell whether any lock could stand against this write: whoever disables or lowers need not ask Dev Center."""
    return bool(lock_problems(said, settings, TIGHTEST))


def _locks(governance: Governance) -> Iterator[Lock]:
    ask = "Ask the Dev Center's administrators to change it."
    if governance.mode is Mode.DISABLED and governance.mode_locked:
        message = f"A policy of the Dev Center keeps GPU sessions disabled in this project. {ask}"
        yield Lock(setting=f"{SECTION}.{MODE}", message=message)
    if governance.max_concurrent is not None and governance.cap_locked:
        most = governance.max_concurrent
        message = f"A policy of the Dev Center allows {most} sessions at once in this project at most. {ask}"
        yield Lock(setting=f"{SECTION}.{CAP}", message=message)


def _leaves(part: msgspec.Struct, place: str) -> Iterator[tuple[str, bool]]:
    """Yield the dotted place of each setting, and whether it differs from its default. A list is one setting."""
    for field in msgspec.structs.fields(part):
        value = getattr(part, field.name)
        if isinstance(value, msgspec.Struct):
            yield from _leaves(value, f"{place}{field.encode_name}.")
        else:
            default = field.default_factory() if field.default_factory is not msgspec.NODEFAULT else field.default
            yield f"{place}{field.encode_name}", value != default
