"""One ledger write for many sessions: requests that come while a transaction is under way go into the next one.

Every admission, every release and every change of the line writes the project's ledger row, so they are one after the
other. With a transaction each, fifty at once wait for fifty round trips; here the first to come takes along all that
wait behind it (group commit, reliability.md 3.4: ten times the throughput of a lock). Across processes the ETag alone
decides. Whoever of the line can be admitted after a transaction's requests is admitted in that same transaction.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Event, Lock

from shared.domain.admission import Book
from shared.domain.names import ProjectId
from shared.domain.records import SessionRow
from shared.ports.book_keeping import BookKeeper, Entry
from shared.ports.tables import StorageUnavailable

MOST_TOGETHER = 15
"""Requests in one transaction: at most five rows each, and a transaction takes a hundred (reliability.md 3.1)."""
MOST_ROUNDS = 50
"""Transactions that may follow one another to promote a whole line; the next round of house-keeping does the rest."""

Request = Callable[[Book], Entry]


@dataclass(slots=True)
class _Waiting:
    request: Request
    done: Event = field(default_factory=Event)
    committed: bool = False
    trouble: Exception | None = None


class LedgerDesk:
    """Where a process's requests to one ledger a project are taken in turn."""

    def __init__(self, keeper: BookKeeper) -> None:
        self._keeper = keeper
        self._guard = Lock()
        self._queues: dict[ProjectId, deque[_Waiting]] = {}
        self._turns: dict[ProjectId, Lock] = {}
        self._promoted: deque[SessionRow] = deque()

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

    def promote(self, project: ProjectId) -> None:
        """Admit whoever of the line can be admitted now. Nothing is written where nobody can."""
        with self._guard:
            turn = self._turns.setdefault(project, Lock())
        with turn:
            self._promote(project)

    def take_promoted(self) -> list[SessionRow]:
        """Return the sessions that were promoted since the last call: their drivers are to be woken."""
        taken: list[SessionRow] = []
        while self._promoted:
            taken.append(self._promoted.popleft())
        return taken

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
            self._promote(project, only_if_left=True)
        except StorageUnavailable as trouble:
            for waiting in batch:
                if not waiting.committed:
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

    def _promote(self, project: ProjectId, *, only_if_left: bool = False) -> None:
        for _ in range(MOST_ROUNDS):
            if only_if_left and not self._keeper.has_more(project):
                return
            if not self._commit(project, []) or not self._keeper.has_more(project):
                return

    def _commit(self, project: ProjectId, batch: list[_Waiting]) -> bool:
        written = self._keeper.write(project, [waiting.request for waiting in batch])
        if written is None:
            return False
        self._promoted.extend(written)
        return True
