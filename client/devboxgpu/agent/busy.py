"""Which processes of the container are at work, by the processor time that they take."""

from __future__ import annotations

import os
import time
from typing import NamedTuple, Tuple

from . import main_process
from .main_process import REPLICA, Stat, read_stat, replica_of

BUSY_CORES = 0.2
MOST_NAMES = 10
Process = Tuple[int, int]
"""An id and a start time: ids are used again."""


class Look(NamedTuple):
    at: float
    processes: dict[Process, Stat]


def look() -> Look | None:
    """All processes now; None where there is no /proc to look into."""
    try:
        pids = [int(name) for name in os.listdir("/proc") if name.isdecimal()]
    except OSError:
        return None
    stats = ((pid, read_stat(pid)) for pid in pids)
    return Look(time.monotonic(), {(pid, stat.started): stat for pid, stat in stats if stat is not None})


def names_between(before: Look, now: Look, not_counted: set[int], directory: str) -> list[str]:
    """Names of those that took more than a fifth of a core between two looks, the busiest first."""
    most = BUSY_CORES * (now.at - before.at) * os.sysconf("SC_CLK_TCK")
    used = {
        process: stat.ticks - (before.processes[process].ticks if process in before.processes else 0)
        for process, stat in now.processes.items()
        if process[0] not in not_counted
    }
    busy = sorted((process for process in used if used[process] > most), key=lambda process: -used[process])
    if busy and main_process.shares_machine(directory):
        busy = [process for process in busy if _is_of_this_replica(process[0], now)]
    return [now.processes[process].name for process in busy]


def _is_of_this_replica(pid: int, now: Look) -> bool:
    """By what it, or one of those that it comes from, says of itself; the agent's own children are."""
    own = os.environ.get(REPLICA)
    parents = {pid_: stat.parent for (pid_, _), stat in now.processes.items()}
    seen = set()
    while pid > 1 and pid not in seen:
        if pid == os.getpid() or replica_of(pid) == own:
            return True
        seen.add(pid)
        pid = parents.get(pid, 0)
    return False
