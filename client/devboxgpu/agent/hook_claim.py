"""Which process of the container runs the save hook: an agent, or the main process when the container is to end."""

from __future__ import annotations

import os
import sys

from . import main_process

RUNS = "hook-runs"
"""A symbolic link that leads nowhere: its target is "PID STARTTICKS" of who runs the hook. Making one is atomic."""
RAN = "hook-ran"
"""As old as the end of the last run, and "PID STARTTICKS CODE" of it."""


class HookClaim:
    """At most one process of a container has it at a time, and who has died has it no longer.

    Where it cannot be told who has it, it is given: the hook runs twice then, which is better than not at all.
    """

    def __init__(self, directory: str) -> None:
        self._directory = directory
        self._path = os.path.join(directory, RUNS)

    def take(self) -> bool:
        """Whether this process has it now; False where another has it."""
        while True:
            try:
                os.symlink(main_process.name_of(os.getpid()), self._path)
                return True
            except FileExistsError:
                if self.is_held():
                    return False
                if not self._removed():
                    return True
            except OSError:
                return True

    def release(self) -> None:
        if self._holder() == main_process.name_of(os.getpid()):
            self._removed()

    def is_held(self) -> bool:
        return main_process.named(self._holder()) is not None

    def note_end(self, code: int) -> None:
        """That it has just ended. The main process, which is to run it too, then leaves it at that."""
        try:
            with open(os.path.join(self._directory, RAN), "w", encoding="ascii") as file:
                file.write(f"{main_process.name_of(os.getpid())} {code}\n")
        except OSError as error:  # then the hook runs twice, which is better than not at all
            sys.stderr.write(f"{RAN}: {error}\n")

    def main_has_run(self) -> bool:
        """Whether the container's main process has run it: then there is nothing to save any more."""
        who, _ = self._last()
        return bool(who) and who == main_process.own_name(self._directory)

    def last_code(self) -> int | None:
        """The exit code of the last run, whoever ran it; None where that is not known."""
        _, code = self._last()
        return int(code) if code.isdigit() else None

    def _last(self) -> tuple[str, str]:
        try:
            with open(os.path.join(self._directory, RAN), encoding="ascii") as file:
                who, _, code = file.read(100).strip().rpartition(" ")
        except (OSError, ValueError):
            return "", ""
        return who, code

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
