"""`devboxgpu shell`."""

from __future__ import annotations

from typing import Any

import click

from devboxgpu.commands.options import connection_options, session_options
from devboxgpu.commands.session_verb import carry_out


@click.command(short_help="Open a shell on a GPU.")
@session_options
@connection_options
def shell(**options: Any) -> int:
    """Open a shell on a GPU; its session is stopped when you leave it, unless other shells of yours are in it.

    Keys after Enter: ~. disconnects (exit code 125), ~? lists the keys. While the session waits or is
    made ready, Ctrl-C cancels it. When standard input is not a terminal it is the script that the shell runs:

    \b
        echo 'nvidia-smi; exit 3' | devboxgpu shell

    A dropped connection is mended and the shell goes on (that needs Python 3.8 in the image). Before the session is
    stopped, ~/.devboxgpu/on-stop is run there if it is executable. The exit code is the remote's. With --dry-run it is
    0 where the shell would be opened now or wait, and 1 where it would be refused.
    """  # noqa: D301 - the backspace is click's mark for lines to keep
    import sys

    return carry_out(**options, arguments=(), on_terminal=sys.stdin.isatty())
