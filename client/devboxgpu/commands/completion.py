"""`devboxgpu completion SHELL`."""

from __future__ import annotations

import click


@click.command(short_help="Print the script by which a shell completes this command.")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish", "powershell"]))
def completion(*, shell: str) -> None:
    """Print the script by which SHELL completes verbs, options, sessions, projects, GPU types and configuration keys.

    \b
        bash         devboxgpu completion bash > ~/.local/share/bash-completion/completions/devboxgpu
        zsh          devboxgpu completion zsh > a folder of $fpath, as _devboxgpu
        fish         devboxgpu completion fish > ~/.config/fish/completions/devboxgpu.fish
        powershell   devboxgpu completion powershell >> $PROFILE

    What the control plane knows is asked for at each Tab, for a second and a half at most.
    """  # noqa: D301 - the backspace is click's mark for lines to keep
    click.echo(script_of(shell), nl=False)


def script_of(shell: str) -> str:
    """The script, which calls the command under the name `devboxgpu`."""
    from click.shell_completion import ShellComplete, get_completion_class

    from devboxgpu.main import COMPLETE_VARIABLE, NAME, cli

    kind = get_completion_class(shell)
    assert kind is not None
    # The class's own `source` starts bash to look at its version, which says nothing about where the script will run.
    return ShellComplete.source(kind(cli, {}, NAME, COMPLETE_VARIABLE))
