"""`devboxgpu sessions list|show|why|logs|extend|stop`."""

from __future__ import annotations

from datetime import timedelta

import click

from devboxgpu.commands.completing import complete_session
from devboxgpu.commands.durations import Duration, minutes_of
from devboxgpu.commands.options import configured, connection_options, output_options


@click.group(short_help="See, explain, extend and stop GPU sessions.")
def sessions() -> None:
    """See, explain, extend and stop GPU sessions: your own, and everybody's where you administer the project."""


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
    from devboxgpu.columns import SESSION_COLUMNS
    from devboxgpu.data_output import show

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
@click.argument("session", shell_complete=complete_session)
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


@sessions.command("why", short_help="Why a session waits, lives or stopped.")
@click.argument("session", shell_complete=complete_session)
@output_options
@connection_options
def explain_session(
    *, session: str, output: str, query: str | None, endpoint: str | None, project: str | None, debug: bool
) -> None:
    """Why SESSION waits, lives or stopped, when it will stop, and what would change that."""
    from devboxgpu.data_output import show
    from devboxgpu.explanation import told

    explained = configured(endpoint=endpoint, project=project, debug=debug).control_plane().explain_session(session)
    if output == "table" and query is None:
        click.echo("\n".join(told(explained)))
    else:
        show(explained, output, query)


@sessions.command("logs", short_help="What a session's program has printed.")
@click.argument("session")
@click.option("-f", "--follow", is_flag=True, help="Go on as it prints, until the program ends.")
@click.option("--tail", "lines", metavar="N", type=click.IntRange(min=0), help="Only the last N lines.")
@connection_options
def show_logs(
    *,
    session: str,
    follow: bool,
    lines: int | None,
    endpoint: str | None,
    project: str | None,
    debug: bool,
) -> None:
    """Show what the program of your session SESSION has printed: its output on standard output, its errors apart.

    While the session lives its agent is asked; afterwards it is what was saved here of a program that was detached on
    this machine. Exit code 3 where nothing is kept.
    """
    import asyncio

    from devboxgpu.detached_store import DetachedStore
    from devboxgpu.session_logs import show_log

    configuration = configured(endpoint=endpoint, project=project, debug=debug)
    api = configuration.control_plane()
    work = show_log(api, configuration.endpoint, session, follows=follow, lines=lines, store=DetachedStore())
    asyncio.run(work)


@sessions.command("extend", short_help="Keep a session for longer.")
@click.argument("session", shell_complete=complete_session)
@click.option(
    "--minutes",
    "longer",
    metavar="N",
    type=Duration(),
    required=True,
    help="For how long from now, in minutes, or as 90s, 2h, 1h30m.",
)
@output_options
@connection_options
def extend_session(
    *,
    session: str,
    longer: timedelta,
    output: str,
    query: str | None,
    endpoint: str | None,
    project: str | None,
    debug: bool,
) -> None:
    """Keep SESSION for at least so long from now, as far as the project allows; says when it stops now."""
    from devboxgpu.data_output import show
    from devboxgpu.explanation import next_stop

    api = configured(endpoint=endpoint, project=project, debug=debug).control_plane()
    extended = api.extend_session(session, minutes=minutes_of(longer))
    if output == "table" and query is None:
        click.echo(next_stop(session, extended))
    else:
        show(extended, output, query)


@sessions.command("stop", short_help="Stop a session and free its GPU.")
@click.argument("session", shell_complete=complete_session)
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
