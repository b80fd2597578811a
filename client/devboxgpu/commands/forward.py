"""`devboxgpu forward`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from devboxgpu.commands.options import configured, connection_options

if TYPE_CHECKING:
    from devboxgpu.configuration import Configuration
    from devboxgpu.forwarding import Forwarding, Route


@click.command(short_help="Reach ports of a session from this machine.")
@click.argument("words", metavar="[SESSION] [LOCAL:]PORT...", nargs=-1, required=True)
@click.option("--bind", metavar="ADDRESS", help="Listen on this address of this machine, not on localhost.")
@click.option("-q", "--quiet", is_flag=True, help="Leave the hint out.")
@connection_options
def forward(
    *,
    words: tuple[str, ...],
    bind: str | None,
    quiet: bool,
    endpoint: str | None,
    project: str | None,
    debug: bool,
) -> int:
    """Reach TCP ports of a running session from this machine, until Ctrl-C.

    \b
        devboxgpu forward 11434                  localhost:11434 here is port 11434 there
        devboxgpu forward s-7f3a 8080:80 6006    two ports of session s-7f3a
        devboxgpu forward 5432:db.internal:5432  a host that the session can reach

    Without SESSION it is the session that you opened last. Only programs on this machine can connect, unless --bind
    names another address. LOCAL 0 takes any free port; each line on standard output says which.

    Exit codes: 0 for Ctrl-C, 128 and its number for another signal, 1 where the session ended (it says why), was lost,
    or a port is in use, 2 usage, 3 session not found.
    """  # noqa: D301 - the backspace is click's mark for lines to keep
    session, routes = _read(words)
    configuration = configured(endpoint=endpoint, project=project, debug=debug)
    return _forward(configuration, session, routes, bind=bind, quiet=quiet)


def _read(words: tuple[str, ...]) -> tuple[str | None, list[Route]]:
    from devboxgpu.forwarding import Route

    names_session = ":" not in words[0] and not words[0].isdigit()
    session, specs = (words[0], words[1:]) if names_session else (None, words)
    if not specs:
        raise click.UsageError(f"which port of session '{session}'? For example: devboxgpu forward {session} 11434")
    try:
        return session, [Route.read(spec) for spec in specs]
    except ValueError as error:
        raise click.UsageError(f"{error}. A port is written PORT, LOCAL:PORT or [LOCAL:]HOST:PORT") from None


def _forward(
    configuration: Configuration, session: str | None, routes: list[Route], *, bind: str | None, quiet: bool
) -> int:
    import asyncio
    import signal

    from devboxgpu.errors import StoppedBySignalError
    from devboxgpu.forwarding import LOOPBACK, Forwarding
    from devboxgpu.notices import Notices
    from devboxgpu.session_access import find_shell, session_link
    from devboxgpu.stop import Signals, Stop

    notices = Notices()

    async def until_stopped() -> None:
        stop = Stop()
        Signals(stop, before_leaving=lambda: None).install()
        await stop.unless_stopped(forward())

    async def forward() -> None:
        api = configuration.control_plane()
        shell = await asyncio.to_thread(find_shell, api, session)
        async with session_link(api, shell) as link:
            link.on_lost = lambda reason: notices.say(f"the connection was lost ({reason}); trying to go on")
            link.on_back = lambda _seconds: notices.say("connected again")
            forwardings = [Forwarding(link, route, notices.say) for route in routes]
            try:
                for forwarding in forwardings:
                    await forwarding.listen((bind,) if bind else LOOPBACK)
                    click.echo(_line(forwarding, bind, shell.session))
                if bind:
                    notices.say(f"warning: whoever can reach {bind} of this machine can reach these ports")
                elif not quiet:
                    notices.say(_hint(forwardings[0].port))
                # Its result comes when the link is lost for good, and says why.
                await (await link.open({"what": "status", "every_s": 3600})).result()
            finally:
                for forwarding in forwardings:
                    await forwarding.close()

    try:
        asyncio.run(until_stopped())
    except StoppedBySignalError as stopped:
        notices.say("the ports are closed")
        return 0 if stopped.signal_number == signal.SIGINT else stopped.exit_code
    return 0


def _line(forwarding: Forwarding, bind: str | None, session: str | None) -> str:
    route = forwarding.route
    host = "localhost" if bind is None else f"[{bind}]" if ":" in bind else bind
    there = f"port {route.port}" if route.host == "localhost" else f"{route.host} port {route.port}"
    return f"http://{host}:{forwarding.port} -> session {session} {there}"


def _hint(port: int) -> str:
    """What the person does next in the AI Toolkit for VS Code (reference/experience.md 1.3)."""
    url = f"http://localhost:{port}"
    return (
        f"AI Toolkit: add {url} under 'Bring your own model' as the hosting URL, "
        "or under 'Provide custom Ollama endpoint'"
    )
