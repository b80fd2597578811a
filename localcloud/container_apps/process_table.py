"""Finds the processes of replicas in /proc, by the mark in their environment and by descent. Linux only."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from localcloud.container_apps.ports import ProcessMark

MARK = "DEVBOXGPU_REPLICA"
_MARK_BYTES = f"{MARK}=".encode()
_PROC = Path("/proc")
# Askers within this time share one walk through /proc: fifty apps deleted at once must not walk it fifty times.
_SHARE_S = 0.003


@dataclass(frozen=True, slots=True)
class _Process:
    mark: ProcessMark
    parent: int
    session: int
    dead: bool
    replica: str | None


class ProcessTable:
    """Living processes by replica. A walk never began before the question that it answers."""

    def __init__(self) -> None:
        self._next: asyncio.Task[Mapping[str, tuple[int, ...]]] | None = None
        # A process without the mark is known by its parent; once known it stays so, when the parent has ended.
        self._known: dict[ProcessMark, str] = {}

    async def fresh(self) -> Mapping[str, tuple[int, ...]]:
        if self._next is None:
            self._next = asyncio.get_running_loop().create_task(self._walk())
        return await asyncio.shield(self._next)

    async def _walk(self) -> Mapping[str, tuple[int, ...]]:
        await asyncio.sleep(_SHARE_S)
        self._next = None
        self._known = owned_processes(self._known)
        return by_replica(self._known)


def owned_processes(known: Mapping[ProcessMark, str]) -> dict[ProcessMark, str]:
    """Walk /proc once and return the living processes with their replica, `known` ones among them.

    A process without the mark belongs to the replica of its parent or of its session.
    """
    found = {process.mark.pid: process for process in map(_read, _pids()) if process is not None}
    owners = {
        pid: owner
        for pid, process in found.items()
        if (owner := process.replica or known.get(process.mark)) is not None
    }
    grew = bool(owners)
    while grew:
        grew = False
        for pid, process in found.items():
            owner = owners.get(process.parent) or owners.get(process.session)
            if pid not in owners and owner is not None:
                owners[pid] = owner
                grew = True
    return {found[pid].mark: owner for pid, owner in owners.items() if not found[pid].dead}


def by_replica(owned: Mapping[ProcessMark, str]) -> dict[str, tuple[int, ...]]:
    pids: dict[str, list[int]] = {}
    for mark, replica in owned.items():
        pids.setdefault(replica, []).append(mark.pid)
    return {replica: tuple(sorted(found)) for replica, found in pids.items()}


def started_ticks(pid: int) -> int | None:
    """Return the start time of a living process, in clock ticks since boot; None for a dead one or a zombie."""
    fields = _stat_fields(pid)
    return None if fields is None or fields[0] in {"Z", "X"} else int(fields[19])


def _pids() -> list[int]:
    own = os.getpid()
    return [int(name) for name in os.listdir(_PROC) if name.isdigit() and int(name) != own]


def _stat_fields(pid: int) -> list[str] | None:
    try:
        text = (_PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    # The name stands in brackets and may itself hold brackets and spaces: state and the rest come after the last one.
    return text[text.rindex(")") + 2 :].split()


def _read(pid: int) -> _Process | None:
    fields = _stat_fields(pid)
    if fields is None:
        return None
    return _Process(
        mark=ProcessMark(pid=pid, started_ticks=int(fields[19])),
        parent=int(fields[1]),
        session=int(fields[3]),
        dead=fields[0] in {"Z", "X"},
        replica=_replica_of(pid),
    )


def _replica_of(pid: int) -> str | None:
    try:
        environment = (_PROC / str(pid) / "environ").read_bytes()
    except OSError:  # it has ended, or belongs to somebody else
        return None
    if _MARK_BYTES not in environment:
        return None
    marks = (entry for entry in environment.split(b"\0") if entry.startswith(_MARK_BYTES))
    return next((entry[len(_MARK_BYTES) :].decode() for entry in marks), None)
