"""`devboxgpu run -- COMMAND`."""

from __future__ import annotations

from typing import Any

import click

from devboxgpu.commands.options import connection_options, session_options
from devboxgpu.commands.session_verb import carry_out


@click.command(short_help="Run one command on a GPU.", context_settings={"allow_interspersed_args": False})
@session_options
@connection_options
@click.option("--detach", is_flag=True, help="Leave the command to itself: prints the session's id, exits 0.")
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
def run(*, command: tuple[str, ...], detach: bool, **options: Any) -> int:
    """Run COMMAND with its arguments on a GPU, then stop the session, unless other shells of yours are in it.

    \b
        devboxgpu run -- python train.py --epochs 3 < data > log

    Arguments arrive exactly as given. Standard input is the command's, up to its end; from a terminal to a terminal the
    command gets a terminal. Standard output and error stay apart, and a dropped connection is mended without the
    command noticing; both need Python 3.8 in the image. Ctrl-C and other signals go to the command. The exit code is
    the command's (126: cannot be executed, 127: not found, 128+n: ended by signal n). With --dry-run it is 0 where the
    command would start now or wait, and 1 where it would be refused.

    With --detach, or Enter ~d at a terminal, the command is left to itself: a process in the background keeps the
    session until the command ends. 'devboxgpu attach' comes back to it, 'devboxgpu sessions logs' shows its output.
    """  # noqa: D301 - the backspace is click's mark for lines to keep
    import sys

    on_terminal = not detach and sys.stdin.isatty() and sys.stdout.isatty()
    return carry_out(**options, arguments=command, on_terminal=on_terminal, detach=detach)
