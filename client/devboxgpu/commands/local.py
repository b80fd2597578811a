"""`devboxgpu local up|down|status`: the local cloud of the repository."""

from __future__ import annotations

import click


@click.group(short_help="The local cloud, where the repository is present.")
def local() -> None:
    """Start, stop and look at the local cloud: everything that stands in for Azure on one machine."""


@local.command(short_help="Start it, or what of it has died.")
def up() -> int:
    """Start the local cloud in the background, or restart what of it has died."""
    return _delegate("up")


@local.command(short_help="Stop it; its state stays.")
def down() -> int:
    """Stop the local cloud and everything it runs; its state stays."""
    return _delegate("down")


@local.command(short_help="What of it runs, and where.")
def status() -> int:
    """What of the local cloud runs, and where."""
    return _delegate("status")


def _delegate(verb: str) -> int:
    """Runs the repository's own program, with its own Python, and gives its exit code."""
    import os
    import subprocess
    import sys

    from devboxgpu.configuration import find_repository
    from devboxgpu.errors import ConfigurationError

    repository = find_repository()
    if repository is None:
        raise ConfigurationError(
            "the local cloud is part of the DevBoxGPU repository: run this inside a clone of it, after 'make env'"
        )
    own = repository / ".venv" / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    python = str(own) if own.exists() else sys.executable
    environment = dict(os.environ)
    if state := environment.get("DEVBOXGPU_STATE"):
        environment["DEVBOXGPU_STATE"] = os.path.abspath(state)  # it is read in another folder
    return subprocess.run([python, "-m", "localcloud", verb], cwd=repository, env=environment, check=False).returncode
