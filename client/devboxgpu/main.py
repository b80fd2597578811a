"""The command's entry: the verbs, and how failures become words and exit codes."""

from __future__ import annotations

import os
import sys

import click

from devboxgpu import __version__
from devboxgpu.errors import EXIT_CLIENT_FAILED, EXIT_INTERRUPTED, EXIT_USAGE, DevBoxGpuError
from devboxgpu.lazy_group import LazyGroup, load
from devboxgpu.verbs import VERBS

NAME = "devboxgpu"
COMPLETE_VARIABLE = "_DEVBOXGPU_COMPLETE"
"""The scripts of `devboxgpu completion` set it, to ask what a line may go on with."""
GIVING_REMOTE_CODES = {verb.name: verb for verb in VERBS if verb.gives_remote_code}


@click.group(
    cls=LazyGroup, verbs=VERBS, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.version_option(__version__, prog_name=NAME)
def cli() -> None:
    """A shell on a GPU from your Dev Box; when you leave, the GPU is gone and so is its bill.

    Start with 'devboxgpu shell'. Exit codes of shell and run: the remote's; 125 where the control plane or this
    command failed; 130 for Ctrl-C before the session is attached. Others: 0, 1 error, 2 usage, 3 not found.
    """


def main() -> None:
    sys.exit(run_command(sys.argv[1:]))


def _gives_remote_code(arguments: list[str]) -> bool:
    """Whether the exit code is to be the remote's: not for a --dry-run, which has no remote."""
    verb = GIVING_REMOTE_CODES.get(arguments[0]) if arguments else None
    if verb is None:
        return False
    # The words may be wrong, and are read all the same: the answer decides the exit code that says so.
    group = click.Context(cli, **cli.context_settings)
    words = load(verb).make_context(
        verb.name, arguments[1:], parent=group, resilient_parsing=True, ignore_unknown_options=True
    )
    return not words.params.get("dry_run")


def run_command(arguments: list[str]) -> int:
    """The exit code of the command with these arguments; whatever is to be told has been told."""
    given = list(arguments)  # reading them may take them apart
    try:
        code = cli.main(arguments, prog_name=NAME, complete_var=COMPLETE_VARIABLE, standalone_mode=False)
        return code if isinstance(code, int) else 0
    except click.exceptions.Exit as leaving:
        return leaving.exit_code
    except click.UsageError as error:
        error.show(sys.stderr)
        return EXIT_CLIENT_FAILED if _gives_remote_code(given) else EXIT_USAGE
    except click.ClickException as error:
        error.show(sys.stderr)
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        return EXIT_INTERRUPTED
    except DevBoxGpuError as error:
        _tell(error)
        return EXIT_CLIENT_FAILED if _gives_remote_code(given) else error.exit_code
    except BrokenPipeError:
        # Whoever read our output has gone; the interpreter's own last flush must not complain either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _tell(error: DevBoxGpuError) -> None:
    from devboxgpu.notices import Notices

    notices = Notices()
    for line in error.lines():
        notices.say(line)
