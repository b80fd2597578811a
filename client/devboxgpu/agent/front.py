"""What an exec process runs: it sees that the daemon is there, hands it its terminal and waits until it is let go.

Little is imported here: it runs at every connection, from a file without compiled code.
"""

from __future__ import annotations

import array
import fcntl
import os
import socket
import sys
from typing import Callable

from .handshake import error_line
from .places import Places, UnsafeDirectoryError, beside

TAKE_IT = b"T"


def attach(path: str) -> int:
    """Runs until the daemon lets go. What cannot be is said as an answer is, for the client at the other end."""
    try:
        daemon = _connected(beside(path))
        with daemon:
            descriptors = array.array("i", [0, 1]).tobytes()
            daemon.sendmsg([TAKE_IT], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, descriptors)])
            while daemon.recv(64):
                continue
    except UnsafeDirectoryError as error:
        return _say("UnsafeDirectory", str(error))
    except ConnectionError as error:
        return _say("AgentGone", f"the agent has ended: {error}")
    except OSError as error:
        return _say("AgentNotStarted", f"the agent could not be started: {error}")
    return 0


def _connected(places: Places) -> socket.socket:
    """To the daemon; started if it is not there, by one of those who want it."""
    try:
        return _connect(places)
    except (FileNotFoundError, ConnectionRefusedError):
        pass
    lock = os.open(places.lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            return _connect(places)
        except (FileNotFoundError, ConnectionRefusedError):
            _start(places)
        return _connect(places)
    finally:
        os.close(lock)


def _connect(places: Places) -> socket.socket:
    client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        _within(places.directory, lambda: client.connect(os.path.basename(places.socket)))
    except OSError:
        client.close()
        raise
    return client


def _within(directory: str, call: Callable[[], None]) -> None:
    """Calls in that directory: an address of a socket ends at 107 bytes, which a path from the root may exceed."""
    here = os.open(".", os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.chdir(directory)
        call()
    finally:
        os.fchdir(here)
        os.close(here)


def _start(places: Places) -> None:
    """Listens before the daemon is born, so that nobody finds it deaf."""
    try:
        os.unlink(places.socket)
    except FileNotFoundError:
        pass
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    with listening:
        _within(places.directory, lambda: listening.bind(os.path.basename(places.socket)))
        os.chmod(places.socket, 0o600)
        listening.listen(64)
        child = os.fork()
        if child == 0:
            _become_daemon(places, listening)
        os.waitpid(child, 0)


def _become_daemon(places: Places, listening: socket.socket) -> None:
    """Never returns. What it writes to standard error goes into the agent's log."""
    code = 1
    try:
        started_in = _here()
        os.setsid()
        if os.fork():
            os._exit(0)
        log = os.open(places.log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_NOFOLLOW, 0o600)
        nothing = os.open(os.devnull, os.O_RDWR)
        for fd, target in ((nothing, 0), (nothing, 1), (log, 2)):
            os.dup2(fd, target)
        _close_all_but(listening.fileno())
        from .daemon import Daemon

        Daemon(places, listening, started_in).run()
        code = 0
    except BaseException:  # this is a copy of the front process: whatever happens, it must not go on as one
        import traceback

        traceback.print_exc(file=sys.stderr)
    finally:
        os._exit(code)


def _here() -> str:
    try:
        return os.getcwd()
    except OSError:  # removed under us
        return "/"


def _close_all_but(kept: int) -> None:
    os.closerange(3, kept)
    os.closerange(kept + 1, 4096)


def _say(code: str, message: str) -> int:
    os.write(1, error_line(code, message))
    return 1
