"""`devboxgpu shell`."""

from __future__ import annotations

from datetime import timedelta

import click

from devboxgpu.commands.options import asks_only, configured, connection_options, session_options, session_request


@click.command(short_help="Open a shell on a GPU.")
@session_options
@connection_options
def shell(
    *,
    gpu: str | None,
    region: str | None,
    image: str | None,
    name: str | None,
    labels: tuple[str, ...],
    session: str | None,
    wait: bool | None,
    wait_timeout: timedelta | None,
    dry_run: bool,
    output: str | None,
    query: str | None,
    endpoint: str | None,
    project: str | None,
    debug: bool,
) -> int:
    """Open a shell on a GPU; its session is stopped when you leave it, unless other shells of yours are in it.

    Keys after Enter: ~. disconnects (exit code 125), ~? lists the keys. While the session waits or is
    made ready, Ctrl-C cancels it. When standard input is not a terminal it is the script that the shell runs:

    \b
        echo 'nvidia-smi; exit 3' | devboxgpu shell

    The remote's standard output and error both come on standard output. The exit code is the remote's. With --dry-run
    it is 0 where the shell would be opened now or wait, and 1 where it would be refused.
    """  # noqa: D301 - the backspace is click's mark for lines to keep
    import sys

    only_asks = asks_only(dry_run=dry_run, output=output, query=query)
    request = session_request(
        gpu=gpu,
        region=region,
        image=image,
        name=name,
        labels=labels,
        session=session,
        wait=wait,
        wait_timeout=wait_timeout,
    )
    configuration = configured(endpoint=endpoint, project=project, debug=debug)
    if only_asks:
        from devboxgpu.commands.forecast import say_decision

        return say_decision(configuration, request, output=output, query=query)

    from devboxgpu.commands.attached import run_attached

    return run_attached(
        configuration,
        request=request,
        arguments=(),
        on_terminal=sys.stdin.isatty(),
    )
