"""`devboxgpu run -- COMMAND`."""

from __future__ import annotations

from datetime import timedelta

import click

from devboxgpu.commands.options import asks_only, configured, connection_options, session_options, session_request


@click.command(short_help="Run one command on a GPU.", context_settings={"allow_interspersed_args": False})
@session_options
@connection_options
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
def run(
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
    command: tuple[str, ...],
) -> int:
    """Run COMMAND with its arguments on a GPU, then stop the session, unless other shells of yours are in it.

    \b
        devboxgpu run -- python train.py --epochs 3 < data > log

    Arguments arrive exactly as given. Standard input is the command's, up to its end; from a terminal to a terminal the
    command gets a terminal. For now the remote's standard output and error both come on standard output. The exit
    code is the command's (126: cannot be executed, 127: not found, 128+n: ended by signal n). With --dry-run it is 0
    where the command would start now or wait, and 1 where it would be refused.
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
        arguments=command,
        on_terminal=sys.stdin.isatty() and sys.stdout.isatty(),
    )
