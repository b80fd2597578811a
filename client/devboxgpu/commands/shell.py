"""`devboxgpu shell`."""

from __future__ import annotations

import click

from devboxgpu.commands.options import configured, connection_options, session_options, session_request


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
    endpoint: str | None,
    project: str | None,
    debug: bool,
) -> int:
    r"""Open a shell on a GPU; its session is stopped when you leave it.

    Keys after Enter: ~. disconnects and stops the session (exit code 125), ~? lists the keys. While the session is
    made ready, Ctrl-C cancels it. When standard input is not a terminal it is the script that the shell runs:

    \b
        echo 'nvidia-smi; exit 3' | devboxgpu shell

    The remote's standard output and error both come on standard output. The exit code is the remote's.
    """
    import sys

    from devboxgpu.commands.attached import run_attached

    return run_attached(
        configured(endpoint=endpoint, project=project, debug=debug),
        request=session_request(gpu=gpu, region=region, image=image, name=name, labels=labels),
        arguments=(),
        on_terminal=sys.stdin.isatty(),
    )
