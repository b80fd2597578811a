"""The verbs of the command: where each is, and its one line of help.

The table is all that `devboxgpu --help` and completion read, so that neither waits for a verb's module. A test holds it
against the modules.
"""

from __future__ import annotations

from typing import NamedTuple


class Verb(NamedTuple):
    name: str
    help: str
    """As in the command's own `short_help`."""
    module: str
    attribute: str
    gives_remote_code: bool = False
    """Its exit code is the remote's, so that every failure of ours, wrong words too, is 125."""
    is_hidden: bool = False
    """Not for people: started by this command itself."""


def _verb(name: str, text: str, *, gives_remote_code: bool = False, is_hidden: bool = False) -> Verb:
    """A verb in the module of its name."""
    return Verb(name, text, f"devboxgpu.commands.{name}", name, gives_remote_code, is_hidden)


VERBS = (
    _verb("shell", "Open a shell on a GPU.", gives_remote_code=True),
    _verb("run", "Run one command on a GPU.", gives_remote_code=True),
    _verb("attach", "Come back to a detached program.", gives_remote_code=True),
    _verb("cp", "Copy files to or from a session."),
    _verb("forward", "Reach ports of a session from this machine."),
    _verb("sessions", "See, explain, extend and stop GPU sessions."),
    _verb("gpus", "GPU types, prices, what is free."),
    _verb("usage", "What you have used, and what it cost."),
    _verb("project", "See projects and their settings; administrators change them."),
    Verb("login", "Sign in to the control plane.", "devboxgpu.commands.sign_in", "login"),
    Verb("logout", "Forget who is signed in.", "devboxgpu.commands.sign_in", "logout"),
    _verb("whoami", "Who you are to the control plane."),
    _verb("config", "See and change how this command is configured."),
    _verb("doctor", "Find out what stands between you and a GPU."),
    _verb("install", "Put devboxgpu into your terminals and editors."),
    Verb("uninstall", "Take away all that install has put there.", "devboxgpu.commands.install", "uninstall"),
    _verb("completion", "Print the script by which a shell completes this command."),
    _verb("keep", "Keep a detached shell (started by run --detach).", is_hidden=True),
    _verb("local", "The local cloud, where the repository is present."),
)
"""In the order of `devboxgpu --help`."""
