"""Starts, recognises and ends the local cloud's processes, which go on after the command that started them.

A process is known by its id together with the moment of its start, so that a later one under the same id is never
taken for it.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

from localcloud.stack.state_folder import StateFolder, read_json, write_json

LOOK_AGAIN_S = 0.02
LOG_TAIL_BYTES = 2000
LONGEST_LOG_BYTES = 10_000_000
ENDED_STATUSES = frozenset("ZXx")  # zombie, dead (proc(5))


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A process that was started: its id, and the moment of its start as the system counts it."""

    pid: int
    started: str


class ProcessTable:
    """Which process serves which part, as written in the state folder."""

    def __init__(self, state: StateFolder) -> None:
        self._state = state
        kept = read_json(state.processes) or {}
        self._marks = {name: Mark(pid=int(entry["pid"]), started=str(entry["started"])) for name, entry in kept.items()}

    def mark(self, name: str) -> Mark | None:
        return self._marks.get(name)

    def living(self, name: str) -> Mark | None:
        mark = self._marks.get(name)
        return mark if mark and is_alive(mark) else None

    def start(self, name: str, command: Sequence[str], *, environment: Mapping[str, str], folder: Path) -> Mark:
        """Start a process of its own session, with its output in the part's log, and write down which it is."""
        log = self._state.log_of(name)
        log.parent.mkdir(parents=True, exist_ok=True)
        _put_aside_if_long(log)
        with log.open("ab") as output:
            child = subprocess.Popen(
                command,
                cwd=folder,
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        mark = Mark(pid=child.pid, started=moment_of_start(child.pid) or "")
        self._marks[name] = mark
        self._write()
        return mark

    def forget(self, name: str) -> None:
        if self._marks.pop(name, None):
            self._write()

    def _write(self) -> None:
        write_json(self._state.processes, {name: asdict(mark) for name, mark in self._marks.items()})


def is_alive(mark: Mark) -> bool:
    _collect_if_ours(mark.pid)
    return mark.started != "" and moment_of_start(mark.pid) == mark.started


def end(mark: Mark, *, patience_s: float, signal_number: int = signal.SIGTERM) -> bool:
    """Send the signal and wait; tell whether the process is gone."""
    if is_alive(mark):
        try:
            os.kill(mark.pid, signal_number)
        except ProcessLookupError:
            return True
    return wait_until(lambda: not is_alive(mark), patience_s=patience_s)


def wait_until(holds: Callable[[], bool], *, patience_s: float) -> bool:
    """Look again and again until the claim holds; tell whether it came to hold in time."""
    gives_up_at = time.monotonic() + patience_s
    while not holds():
        if time.monotonic() > gives_up_at:
            return False
        time.sleep(LOOK_AGAIN_S)
    return True


def log_tail(path: Path) -> str:
    """Return the last lines of a log, for a message to people."""
    try:
        with path.open("rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - LOG_TAIL_BYTES))
            return file.read().decode(errors="replace").strip()
    except FileNotFoundError:
        return ""


def _put_aside_if_long(log: Path) -> None:
    """Keep one older log beside a new one, so that logs do not grow for ever."""
    if log.exists() and log.stat().st_size > LONGEST_LOG_BYTES:
        log.replace(log.with_name(f"{log.name}.1"))


def moment_of_start(pid: int) -> str | None:
    """Return when the process started, or None where it is gone or only waits to be collected.

    Counted in clock ticks since a named boot, which no change of the clock moves.
    """
    try:
        # The command's name stands in brackets and may hold anything; what follows it is split by spaces (proc(5)).
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    status, threads, started_ticks = fields[0], int(fields[17]), fields[19]
    # The first thread may be a zombie while others are still ending and hold the process's ports.
    if status in ENDED_STATUSES and threads <= 1:
        return None
    return f"{_boot_id()}/{started_ticks}"


@cache
def _boot_id() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except FileNotFoundError:
        return "unnamed-boot"


def _collect_if_ours(pid: int) -> None:
    """Collect the process if it is an ended child of this one, as in tests that start and end a local cloud."""
    try:
        os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        pass
