"""Starts children that outlive us, and waits for processes by descriptor, ours or adopted ones."""

from __future__ import annotations

import asyncio
import ctypes
import fcntl
import os
import signal
import subprocess
import termios
from collections.abc import Callable, Mapping
from pathlib import Path

from localcloud.container_apps.ports import CommandNotFound

_PR_SET_CHILD_SUBREAPER = 36
_libc = ctypes.CDLL(None, use_errno=True)


def start_child(
    command: tuple[str, ...],
    *,
    directory: Path,
    environment: Mapping[str, str],
    stdin: int,
    output: int,
    owns_terminal: bool = False,
) -> subprocess.Popen[bytes]:
    """Start the command in a session of its own; raises CommandNotFound with the program's name."""
    try:
        return subprocess.Popen(
            command,
            cwd=directory,
            env=dict(environment),
            stdin=stdin,
            stdout=output,
            stderr=output,
            start_new_session=True,
            preexec_fn=_become_terminal_owner if owns_terminal else _become_ancestor,  # noqa: PLW1509  # no other way to do either
        )
    except OSError as error:
        raise CommandNotFound(f"{command[0]}: {os.strerror(error.errno or 0)}") from error


def _become_ancestor() -> None:
    for heeded in (
        signal.SIGHUP,
        signal.SIGINT,
        signal.SIGQUIT,
    ):  # a cloud begun by nohup, or in the background, ignores
        signal.signal(heeded, signal.SIG_DFL)
    # Processes that lose their parent stay descendants of the container's first process, and so can be found and ended.
    _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def _become_terminal_owner() -> None:
    _become_ancestor()
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def watch_exit(pid: int, then: Callable[[], None]) -> None:
    """Call `then` on the running loop once the process has ended; raises ProcessLookupError when there is none."""
    loop = asyncio.get_running_loop()
    descriptor = os.pidfd_open(pid)

    def ended() -> None:
        loop.remove_reader(descriptor)
        os.close(descriptor)
        then()

    loop.add_reader(descriptor, ended)


def as_shell_code(returncode: int) -> int:
    """Say death by signal n as 128 + n."""
    return returncode if returncode >= 0 else 128 - returncode
