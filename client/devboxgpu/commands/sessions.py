"""`devboxgpu sessions list|show|stop`."""

from __future__ import annotations

import click

from devboxgpu.commands.options import configured, connection_options, output_options


@click.group(short_help="See and stop GPU sessions.")
def sessions() -> None:
    """See and stop GPU sessions: your own, and everybody's where you administer the project."""


@sessions.command("list", short_help="List the project's sessions that you may see.")
@click.option("--state", metavar="STATE", help="Only sessions in this state, such as Running.")
@click.option("--user", metavar="ID", help="Only this user's sessions: an object id, or 'me'.")
@output_options
@connection_options
def list_sessions(
    *,
    state: str | None,
    user: str | None,
    output: str,
    query: str | None,
    endpoint: str | None,
    project: str | None,
    debug: bool,
) -> None:
    """List the project's sessions that you may see."""
    from devboxgpu.data_output import SESSION_COLUMNS, show

    api = configured(endpoint=endpoint, project=project, debug=debug).control_plane()
    filters = {key: value for key, value in (("state", state), ("user", user)) if value}
    show(
        api.list_sessions(filters),
        output,
        query,
        columns=SESSION_COLUMNS,
        empty="no sessions; 'devboxgpu shell' opens one",
    )


@sessions.command("show", short_help="Show one session.")
@click.argument("session")
@output_options
@connection_options
def show_session(
    *, session: str, output: str, query: str | None, endpoint: str | None, project: str | None, debug: bool
) -> None:
    """Show everything about SESSION."""
    from devboxgpu.data_output import show

    show(
        configured(endpoint=endpoint, project=project, debug=debug).control_plane().get_session(session), output, query
    )


@sessions.command("stop", short_help="Stop a session and free its GPU.")
@click.argument("session")
@click.option("--reason", metavar="TEXT", help="Why, for its owner and the audit.")
@output_options
@connection_options
def stop_session(
    *,
    session: str,
    reason: str | None,
    output: str,
    query: str | None,
    endpoint: str | None,
    project: str | None,
    debug: bool,
) -> None:
    """Stop SESSION: its shells are closed and its GPU is freed."""
    from devboxgpu.data_output import show
    from devboxgpu.notices import Notices

    api = configured(endpoint=endpoint, project=project, debug=debug).control_plane()
    stopped = api.stop_session(session, reason)
    if output == "table" and query is None:
        state = stopped.get("state")
        Notices().say(f"session {session}: {'has ended' if state == 'Ended' else 'is stopping'}")
    else:
        show(stopped, output, query)
