"""What `shell` and `run` have in common: one shell's life in one event loop."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping, Sequence

from devboxgpu.configuration import Configuration
from devboxgpu.notices import Notices
from devboxgpu.shell_life import ShellLife, ShellPlan
from devboxgpu.sync import Sync


def run_attached(
    configuration: Configuration,
    *,
    request: Mapping[str, object],
    arguments: Sequence[str],
    on_terminal: bool,
    detach: bool = False,
    sync: str | None = None,
    sync_back: tuple[str, ...] = (),
) -> int:
    """Opens a shell, attaches it, closes it; the exit code."""
    if hasattr(sys.stderr, "reconfigure"):
        sys.stderr.reconfigure(errors="replace")
    folder = Sync(sync, Notices(), back=sync_back) if sync is not None else None
    plan = ShellPlan(
        request=request,
        arguments=arguments,
        on_terminal=on_terminal,
        endpoint=configuration.endpoint,
        detach=detach,
        sync=folder,
    )

    async def live() -> int:
        return await ShellLife(configuration.control_plane(), plan).run()

    return asyncio.run(live())
