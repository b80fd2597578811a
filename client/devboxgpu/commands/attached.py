"""What `shell` and `run` have in common: one shell's life in one event loop."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping, Sequence

from devboxgpu.configuration import Configuration
from devboxgpu.shell_life import ShellLife, ShellPlan


def run_attached(
    configuration: Configuration, *, request: Mapping[str, object], arguments: Sequence[str], on_terminal: bool
) -> int:
    """Opens a shell, attaches it, closes it; the exit code."""
    if hasattr(sys.stderr, "reconfigure"):
        sys.stderr.reconfigure(errors="replace")
    plan = ShellPlan(request=request, arguments=arguments, on_terminal=on_terminal)

    async def live() -> int:
        return await ShellLife(configuration.control_plane(), plan).run()

    return asyncio.run(live())
