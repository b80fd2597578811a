"""Which process of the container runs the save hook: an agent, or the main process when the container is to end."""

from __future__ import annotations

import os

from . import main_process

FILE = "hook-runs"
"""A symbolic link that leads nowhere: its target is "PID STARTTICKS" of who runs the hook. Making one is atomic."""


class HookClaim:
    """At most one process of a container has it at a time; who has died has it no longer, save the main process.

    Where it cannot be told who has it, it is given: the hook runs twice then, which is better than not at all.
    """

    def __init__(self, directory: str) -> None:
        self._directory = directory
        self._path = os.path.join(directory, FILE)

    def take(self) -> bool:
        """Whether this process has it now; False where another has it."""
        while True:
            try:
                os.symlink(_who(os.getpid()), self._path)
                return True
            except FileExistsError:
                if self._is_held():
                    return False
                if not self._removed():
                    return True
            except OSError:
                return True

    def release(self) -> None:
        if self._holder() == _who(os.getpid()):
            self._removed()

    def _is_held(self) -> bool:
        holder = self._holder()
        pid = holder.split(" ")[0]
        if not pid.isdigit():
            return False
        return holder in (main_process.as_named(self._directory), _who(int(pid)))

    def _holder(self) -> str:
        try:
            return os.readlink(self._path)
        except OSError:
            return ""

    def _removed(self) -> bool:
        try:
            os.unlink(self._path)
        except FileNotFoundError:
            return True
        except OSError:
            return False
        return True


def _who(pid: int) -> str:
    stat = main_process.read_stat(pid)
    return f"{pid} {stat.started if stat is not None else 0}"
