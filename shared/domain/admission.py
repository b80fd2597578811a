"""Admission: may this session have a GPU now? Pure; the transaction around it is the activity's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from shared.domain.errors import ErrorCode, Problem
from shared.domain.names import UserId
from shared.domain.pricing import GpuType
from shared.domain.settings import GpuSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Ledger:
    """What a project has reserved. Kept exact by one conditional write for every change (I1, I4)."""

    by_type: Mapping[str, int] = field(default_factory=dict)
    by_user: Mapping[str, int] = field(default_factory=dict)

    @property
    def reserved(self) -> int:
        return sum(self.by_type.values())

    def with_one(self, gpu_type: GpuType, user: UserId) -> Ledger:
        return self._moved(gpu_type, user, 1)

    def without_one(self, gpu_type: GpuType, user: UserId) -> Ledger:
        return self._moved(gpu_type, user, -1)

    def _moved(self, gpu_type: GpuType, user: UserId, step: int) -> Ledger:
        return replace(self, by_type=_counted(self.by_type, gpu_type, step), by_user=_counted(self.by_user, user, step))


def _counted(counts: Mapping[str, int], key: str, step: int) -> dict[str, int]:
    number = counts.get(key, 0) + step
    if number < 0:
        msg = f"the ledger would count {number} for '{key}': a reservation was released twice"
        raise ValueError(msg)
    return {**{name: count for name, count in counts.items() if name != key}, **({key: number} if number else {})}


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What a session asks of the ledger."""

    user: UserId
    gpu_type: GpuType


def refusal(settings: GpuSettings, ledger: Ledger, wish: Wish) -> Problem | None:
    """Return why this session may not have a GPU now, None where it may. A cap lowered below use admits nobody."""
    return refusal_at_once(settings, wish.gpu_type) or _refusal_of_ledger(settings, ledger, wish)


def refusal_at_once(settings: GpuSettings, gpu_type: GpuType) -> Problem | None:
    """Return what the settings alone refuse, whatever is in use."""
    if not settings.enabled:
        return Problem(
            code=ErrorCode.GPU_DISABLED,
            message="GPU sessions are disabled for this project. Ask a project administrator to enable them.",
        )
    if settings.cap_of_type(gpu_type) is None:
        allowed = ", ".join(entry.type for entry in settings.gpu_types)
        return Problem(
            code=ErrorCode.GPU_TYPE_NOT_ALLOWED,
            message=f"This project does not allow {gpu_type} GPUs. Allowed: {allowed}.",
            target="gpuType",
        )
    return None


def _refusal_of_ledger(settings: GpuSettings, ledger: Ledger, wish: Wish) -> Problem | None:
    mine, own_cap = ledger.by_user.get(wish.user, 0), settings.max_concurrent_sessions_per_user
    if mine >= own_cap:
        return Problem(
            code=ErrorCode.USER_LIMIT_REACHED,
            message=f"You have {mine} of {own_cap} GPU sessions in this project. Stop one: devboxgpu sessions list",
        )
    type_cap = settings.cap_of_type(wish.gpu_type) or 0
    of_type = ledger.by_type.get(wish.gpu_type, 0)
    if of_type >= type_cap:
        return _project_cap(f"all {type_cap} {wish.gpu_type} GPUs of this project are in use")
    if ledger.reserved >= settings.project_cap:
        return _project_cap(f"all {settings.project_cap} GPU sessions of this project are in use")
    return None


def _project_cap(what: str) -> Problem:
    return Problem(
        code=ErrorCode.PROJECT_CAP_REACHED,
        message=f"Refused: {what}. Try again when one has ended, or ask a project administrator for a higher cap.",
    )


def free_for(settings: GpuSettings, ledger: Ledger, wish: Wish) -> tuple[int, int]:
    """Return how many sessions of this type the project, and this user, could still open now."""
    type_left = (settings.cap_of_type(wish.gpu_type) or 0) - ledger.by_type.get(wish.gpu_type, 0)
    project_left = max(0, min(type_left, settings.project_cap - ledger.reserved)) if settings.enabled else 0
    user_left = settings.max_concurrent_sessions_per_user - ledger.by_user.get(wish.user, 0)
    return project_left, max(0, min(project_left, user_left))
