"""`devboxgpu keep`: the process in the background that keeps a detached shell. Started by others, never by a person."""

from __future__ import annotations

import click

from devboxgpu.commands.options import configured, connection_options


@click.command(short_help="Keep a detached shell (started by run --detach).")
@click.argument("shell")
@connection_options
def keep(*, shell: str, endpoint: str | None, project: str | None, debug: bool) -> int:
    """Keep SHELL, which was detached on this machine, until its program ends or its session is stopped."""
    import asyncio

    from devboxgpu.detached_store import DetachedStore
    from devboxgpu.errors import DevBoxGpuError
    from devboxgpu.keeper import Keeper

    configuration, store = configured(endpoint=endpoint, project=project, debug=debug), DetachedStore()
    record = store.get(shell)
    if record is None:
        raise DevBoxGpuError(f"no shell {shell} was detached on this machine")

    async def live() -> None:
        await Keeper(configuration.control_plane(), store, record).run()

    with store.lock(shell) as is_mine:
        if is_mine:  # else another process keeps it, and needs no help
            asyncio.run(live())
    return 0
