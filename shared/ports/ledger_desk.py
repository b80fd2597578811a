"""One ledger write for many sessions: requests that come while a transaction is under way go into the next one.

Every admission and every release writes the project's ledger row, so they are one after the other. With a
transaction each, fifty at once wait for fifty round trips; here the first to come takes along all that wait behind it
(group commit, reliability.md 3.4: ten times the throughput of a lock). Across processes the ETag alone decides.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from threading import Event, Lock
from typing import Any

import msgspec

from shared.domain import names
from shared.domain.admission import Ledger
from shared.domain.names import ProjectId
from shared.domain.records import LedgerRow
from shared.domain.settings import GpuSettings
from shared.ports.tables import Change, StorageUnavailable, Stored, Tables, Update

MOST_TOGETHER = 24
"""Requests in one transaction: at most four rows each, and a transaction takes a hundred (reliability.md 3.1)."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What a request makes of the ledger: the ledger after it, and the other rows that change with it."""

    ledger: Ledger
    changes: Sequence[Change]


Request = Callable[[GpuSettings, Ledger], Entry]


@dataclass(slots=True)
class _Waiting:
    request: Request
    done: Event = field(default_factory=Event)
    committed: bool = False
    trouble: Exception | None = None


class LedgerDesk:
    """Where a process's requests to one ledger a project are taken in turn."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self._guard = Lock()
        self._queues: dict[ProjectId, deque[_Waiting]] = {}
        self._turns: dict[ProjectId, Lock] = {}

    def enter(self, project: ProjectId, request: Request) -> bool:
        """Carry a request out on the ledger as it is then. False where one of its other rows was not as it was read.

        The request may be asked more than once, each time with the present ledger, and must have no other effect.
        Raise StorageUnavailable where storage does not answer, and whatever the request itself raises.
        """
        waiting = _Waiting(request)
        with self._guard:
            self._queues.setdefault(project, deque()).append(waiting)
            turn = self._turns.setdefault(project, Lock())
        with turn:
            if not waiting.done.is_set():
                self._serve(project, self._take(project))
        waiting.done.wait()
        if waiting.trouble is not None:
            raise waiting.trouble
        return waiting.committed

    def _take(self, project: ProjectId) -> list[_Waiting]:
        with self._guard:
            queue = self._queues[project]
            return [queue.popleft() for _ in range(min(MOST_TOGETHER, len(queue)))]

    def _serve(self, project: ProjectId, batch: list[_Waiting]) -> None:
        """Carry the batch out in one transaction; one by one where a single request stands in the way of the others."""
        try:
            together = len(batch) > 1 and self._commit(project, batch)
            for waiting in batch:
                waiting.committed = together
            if not together:
                self._each(project, batch)
        except StorageUnavailable as trouble:
            for waiting in batch:
                waiting.trouble = trouble
        except Exception:  # one request's own trouble: it is told to that one alone
            self._each(project, batch)
        finally:
            for waiting in batch:
                waiting.done.set()

    def _each(self, project: ProjectId, batch: list[_Waiting]) -> None:
        for waiting in batch:
            self._alone(project, waiting)

    def _alone(self, project: ProjectId, waiting: _Waiting) -> None:
        try:
            waiting.committed = self._commit(project, [waiting])
        except Exception as trouble:  # one request's trouble is its own, not its neighbours'
            waiting.trouble = trouble

    def _commit(self, project: ProjectId, batch: list[_Waiting]) -> bool:
        stored: Stored[LedgerRow] | None = self._tables.read("core", project, names.LEDGER_KEY, LedgerRow)
        if stored is None:
            raise StorageUnavailable(f"project {project} has no ledger")
        ledger = ledger_of(stored.row)
        changes: list[Change] = []
        for waiting in batch:
            entry = waiting.request(stored.row.policy, ledger)
            ledger = entry.ledger
            changes += entry.changes
        return self._tables.commit("core", project, [*changes, _written(stored, ledger)])


def ledger_of(row: LedgerRow) -> Ledger:
    """Return what a project's ledger row counts."""
    return Ledger(by_type=row.by_type, by_user=row.by_user)


def _written(stored: Stored[LedgerRow], ledger: Ledger) -> Update:
    counts: dict[str, Any] = {"by_type": dict(ledger.by_type), "by_user": dict(ledger.by_user)}
    return Update(
        stored.key, msgspec.structs.replace(stored.row, revision=stored.row.revision + 1, **counts), stored.etag
    )
