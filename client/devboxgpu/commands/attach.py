"""`devboxgpu attach`."""

from __future__ import annotations

import click

from devboxgpu.commands.options import configured, connection_options


@click.command(short_help="Come back to a detached program.")
@click.argument("session", required=False)
@connection_options
def attach(*, session: str | None, endpoint: str | None, project: str | None, debug: bool) -> int:
    """Come back to the program of SESSION that was left to itself on this machine (run --detach, or Enter ~d).

    Without SESSION it is the one that was detached last, those that still run first. A program on a terminal gets this
    terminal; of any other its output is shown from the beginning, and Ctrl-C interrupts it. Enter ~d, or closing the
    terminal, leaves it running; Enter ~. stops the session.

    The exit code is the program's, also when it has ended since: then its output is shown, and how it ended. 0 when it
    was left running, 125 where there is nothing to come back to or the exit code is not known.
    """
    import asyncio
    import sys

    from devboxgpu.attaching import AttachLife
    from devboxgpu.detached_store import DetachedStore
    from devboxgpu.errors import DevBoxGpuError
    from devboxgpu.notices import Notices

    if hasattr(sys.stderr, "reconfigure"):
        sys.stderr.reconfigure(errors="replace")
    configuration = configured(endpoint=endpoint, project=project, debug=debug)
    api, store = configuration.control_plane(), DetachedStore()
    found = store.newest_first(endpoint=configuration.endpoint, project=api.project, session=session)
    if not found:
        which = f"in session {session}" if session is not None else f"in project {api.project}"
        raise DevBoxGpuError(
            f"nothing was detached from this machine {which}; 'devboxgpu run --detach -- COMMAND' does so, and "
            "'devboxgpu sessions list' shows what runs"
        )
    others = [record.session for record in found[1:] if not record.is_over]
    if session is None and others:
        Notices().say(f"this is the newest, session {found[0].session}; there are others: {', '.join(others)}")

    async def live() -> int:
        return await AttachLife(api, store, found[0]).run()

    return asyncio.run(live())
