"""Starting programs: on a terminal of their own or on pipes, each in a session of its own.

Not with `subprocess`: its children could not be told apart from those that the loop reaps, and it gives no controlling
terminal.
"""

from __future__ import annotations

import errno
import fcntl
import os
import pty
import signal
import struct
import termios
from typing import NamedTuple, Sequence

NOT_FOUND, CANNOT_EXECUTE = 127, 126
_RESTORED = [
    getattr(signal, name) for name in ("SIGPIPE", "SIGXFSZ", "SIGHUP", "SIGINT", "SIGTERM") if hasattr(signal, name)
]


class StartError(Exception):
    """The program could not be started; `code` is 127 where it was not found and 126 where it cannot be executed."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class Command(NamedTuple):
    argv: Sequence[str]
    env: dict[str, str]
    directory: str


class OnTerminal(NamedTuple):
    pid: int
    master: int


class OnPipes(NamedTuple):
    pid: int
    stdin: int
    stdout: int
    stderr: int


def set_size(fd: int, columns: int, rows: int) -> None:
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


def on_terminal(command: Command, columns: int, rows: int) -> OnTerminal:
    """The program as the leader of a new session with a new terminal. Raises StartError."""
    master, slave = pty.openpty()
    try:
        set_size(master, columns, rows)
        pid = _start(command, (slave, slave, slave), terminal=True)
    except StartError:
        os.close(master)
        raise
    finally:
        os.close(slave)
    os.set_blocking(master, False)
    return OnTerminal(pid, master)


def on_pipes(command: Command) -> OnPipes:
    """The program as the leader of a new session, standard input, output and error apart. Raises StartError."""
    pipes = [os.pipe() for _ in range(3)]
    (its_in, our_in), (our_out, its_out), (our_err, its_err) = pipes
    ours = (our_in, our_out, our_err)
    try:
        pid = _start(command, (its_in, its_out, its_err), terminal=False)
    except StartError:
        for fd in ours:
            os.close(fd)
        raise
    finally:
        for fd in (its_in, its_out, its_err):
            os.close(fd)
    for fd in ours:
        os.set_blocking(fd, False)
    return OnPipes(pid, *ours)


def start_quietly(command: Command, output: int) -> int:
    """A program of the agent's own, without input, both of whose outputs go to one descriptor. Raises StartError."""
    nothing = os.open(os.devnull, os.O_RDONLY)
    try:
        return _start(command, (nothing, output, output), terminal=False)
    finally:
        os.close(nothing)


def _start(command: Command, streams: Sequence[int], *, terminal: bool) -> int:
    """Waits until the program is executed, or could not be: the child then tells why through a pipe."""
    told, telling = os.pipe()
    pid = os.fork()
    if pid == 0:
        _become(command, streams, telling, terminal=terminal)
    os.close(telling)
    with os.fdopen(told, "rb") as pipe:
        trouble = pipe.read().decode("utf-8", "replace")
    if trouble:
        os.waitpid(pid, 0)
        code, _, message = trouble.partition(" ")
        raise StartError(int(code), message)
    return pid


def _become(command: Command, streams: Sequence[int], telling: int, *, terminal: bool) -> None:
    """In the child: never returns."""
    code, message = CANNOT_EXECUTE, "it could not be started"
    try:
        os.setsid()
        if terminal:
            fcntl.ioctl(streams[0], termios.TIOCSCTTY, 0)
        for target, fd in enumerate(streams):
            os.dup2(fd, target)
        signal.set_wakeup_fd(-1)
        for number in _RESTORED:
            signal.signal(number, signal.SIG_DFL)
        os.chdir(command.directory)
        code, message = _execute(command)
    except OSError as error:
        message = f"{command.directory}: {os.strerror(error.errno or 0)}"
    except BaseException as error:  # whatever it is, this copy of the agent must not go on
        message = str(error)
    os.write(telling, f"{code} {message}".encode("utf-8", "replace"))
    os._exit(code)


def _execute(command: Command) -> tuple[int, str]:
    """Returns only where the program cannot be executed: the exit code that a shell would give, and the reason."""
    name = command.argv[0]
    found = None
    for path in _candidates(name, command.env):
        try:
            os.execve(path, list(command.argv), command.env)
        except OSError as error:
            if error.errno == errno.ENOEXEC:  # a script that does not say what runs it: a shell does, as everywhere
                os.execve("/bin/sh", ["sh", path, *command.argv[1:]], command.env)
            if error.errno not in (errno.ENOENT, errno.ENOTDIR):
                found = error
    if found is None:
        return NOT_FOUND, f"{name}: not found"
    return CANNOT_EXECUTE, f"{name}: {os.strerror(found.errno or 0)}"


def _candidates(name: str, env: dict[str, str]) -> list[str]:
    if "/" in name:
        return [name]
    return [os.path.join(folder or ".", name) for folder in os.get_exec_path(env)]
