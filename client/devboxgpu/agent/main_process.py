"""The container's main process, with whose end the container ends: which one it is, as far as that is certain."""

from __future__ import annotations

import os
from typing import NamedTuple

REPLICA = "CONTAINER_APP_REPLICA_NAME"
FILE = "main.pid"
"""Two numbers: the id of the process, and its start time as in /proc/PID/stat (field 22)."""


class Stat(NamedTuple):
    """What /proc/PID/stat tells of a process."""

    name: str
    parent: int
    ticks: int
    started: int


def read_stat(pid: int) -> Stat | None:
    """None where there is no such process (or no /proc)."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            text = file.read()
    except OSError:
        return None
    name = text[text.find("(") + 1 : text.rfind(")")]
    fields = text[text.rfind(")") + 2 :].split()
    return Stat(name, int(fields[1]), int(fields[11]) + int(fields[12]), int(fields[19]))


def replica_of(pid: int) -> str | None:
    """The replica that a process says it belongs to: "" where it says none, None where that cannot be read."""
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            variables = file.read().split(b"\0")
    except OSError:
        return None
    start = REPLICA.encode("ascii") + b"="
    found = [variable[len(start) :] for variable in variables if variable.startswith(start)]
    return found[0].decode("utf-8", "replace") if found else ""


def name_of(pid: int) -> str:
    """`PID STARTTICKS`, which no later process has too."""
    stat = read_stat(pid)
    return f"{pid} {stat.started if stat is not None else 0}"


def named(name: str) -> int | None:
    """The id of the process that has this name; None where it is gone, or that is no name."""
    try:
        pid, started = (int(word) for word in name.split())
    except ValueError:
        return None
    stat = read_stat(pid) if pid > 0 else None
    return pid if stat is not None and stat.started == started else None


def find(directory: str) -> int | None:
    """Its id; None where it is not certain which process that is. Where `main.pid` is there, only that counts."""
    if os.path.lexists(os.path.join(directory, FILE)):
        pid = named(own_name(directory))
        return pid if pid is not None and _is_users_own(pid) else None
    own = os.environ.get(REPLICA)
    return 1 if own and replica_of(1) == own else None


def own_name(directory: str) -> str:
    """What `main.pid` says, whether or not such a process is there; "" where it says nothing."""
    try:
        with open(os.path.join(directory, FILE), encoding="ascii") as file:
            return file.read(100).strip()
    except (OSError, ValueError):
        return ""


def _is_users_own(pid: int) -> bool:
    try:
        return os.stat(f"/proc/{pid}").st_uid == os.getuid()
    except OSError:
        return False


def shares_machine(directory: str) -> bool:
    """Whether /proc shows processes of others beside this container's: then it is a replica of the local cloud."""
    own = os.environ.get(REPLICA)
    if not own:
        return False
    return replica_of(1) not in (None, own) or find(directory) not in (None, 1)
