"""What Dev Center lets a project have: an upper bound of its own settings (reference/azure.md 6.1, 6.2)."""

from __future__ import annotations

import msgspec

from shared.domain.settings import GpuSettings, Mode, ServerlessGpuSessionsSettings


class Governance(msgspec.Struct, frozen=True, kw_only=True):
    """The upper bound from Dev Center: the policy's default where it is locked, else the project's own value.

    None: Dev Center sets no bound. Locked: a Dev Center policy says that the value is not to be changed.
    """

    mode: Mode | None = None
    max_concurrent: int | None = None
    mode_locked: bool = False
    cap_locked: bool = False


def bounded(settings: GpuSettings, bounds: Governance) -> GpuSettings:
    """Return the settings as they hold under these bounds: the same object where nothing changes."""
    own = settings.serverless_gpu_sessions_settings
    mode = Mode.DISABLED if bounds.mode is Mode.DISABLED else own.serverless_gpu_sessions_mode
    cap = own.max_concurrent_sessions_per_project
    if bounds.max_concurrent is not None:
        cap = min(cap, bounds.max_concurrent)
    if (mode, cap) == (own.serverless_gpu_sessions_mode, own.max_concurrent_sessions_per_project):
        return settings
    held = ServerlessGpuSessionsSettings(serverless_gpu_sessions_mode=mode, max_concurrent_sessions_per_project=cap)
    return msgspec.structs.replace(settings, serverless_gpu_sessions_settings=held)
