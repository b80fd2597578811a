"""`devboxgpu run -- COMMAND`."""

from __future__ import annotations

import click

from devboxgpu.commands.options import configured, connection_options, session_options, session_request


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
    endpoint: str | None,
    project: str | None,
    debug: bool,
    command: tuple[str, ...],
) -> int:
    r"""Run COMMAND with its arguments in a session of its own, then stop the session.

    \b
        devboxgpu run -- python train.py --epochs 3 < data > log

    Arguments arrive exactly as given. Standard input is the command's, up to its end; from a terminal to a terminal the
    command gets a terminal. For now the remote's standard output and error both come on standard output. The exit
    code is the command's (126: cannot be executed, 127: not found, 128+n: ended by signal n).
    """
    import sys

    from devboxgpu.commands.attached import run_attached

    return run_attached(
        configured(endpoint=endpoint, project=project, debug=debug),
        request=session_request(gpu=gpu, region=region, image=image, name=name, labels=labels),
        arguments=command,
        on_terminal=sys.stdin.isatty() and sys.stdout.isatty(),
    )
