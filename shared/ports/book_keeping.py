"""One transaction over a project's ledger: read it with its line, let requests change it, promote who can be, write."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec

from shared.domain import names
from shared.domain.admission import Book, Grant, promotions
from shared.domain.beginning import begun
from shared.domain.budget import thresholds_reached
from shared.domain.events import EventType
from shared.domain.fairness import Share, Shares
from shared.domain.ledger import Ledger
from shared.domain.line import Line, Waiter
from shared.domain.names import ProjectId
from shared.domain.placement import Outlook
from shared.domain.records import LedgerRow, OutboxRow, SessionRow, WaitRow
from shared.domain.settings import BudgetSettings, GpuSettings
from shared.domain.states import SessionState
from shared.ports.outgoing import CONTROL_PLANE, ledger_facts, new_wake, outbox, outbox_entry
from shared.ports.tables import LARGEST_TRANSACTION, Change, Delete, Insert, StorageUnavailable, Stored, Tables, Update

SLICE = timedelta(minutes=15)
"""For how long the cost of a session is held of a hard budget at a time, where nothing else is set."""
ROWS_A_PROMOTION = 4
ROWS_KEPT_FREE = 12
"""The ledger's own row, and the events that the cap or a percentage of the budget is reached."""
OUTLOOK_UNKNOWN = Outlook()
ANYHOW = "*"
"""An ETag that every row fits: places in line are guarded by the ledger's row, which each of their changes writes."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What a request makes of the ledger: the ledger after it, the other rows that change with it, and the line.

    `joins`: who stands in line from now on; `leaves`: who does no longer.
    """

    ledger: Ledger
    changes: Sequence[Change]
    joins: Waiter | None = None
    leaves: Waiter | None = None


@dataclass(slots=True)
class _Draft:
    """The transaction as it grows."""

    stored: Stored[LedgerRow]
    book: Book
    waiters: dict[str, Waiter]
    changes: list[Change] = field(default_factory=list)
    fresh: set[str] = field(default_factory=set)
    promoted: list[SessionRow] = field(default_factory=list)


class BookKeeper:
    """Reads and writes ledgers with their lines. The line is remembered from the last write while nobody else wrote."""

    def __init__(
        self,
        tables: Tables,
        now: Callable[[], datetime],
        outlook: Callable[[GpuSettings], Outlook] | None = None,
        slice_: timedelta = SLICE,
    ) -> None:
        self._tables, self._now, self._slice = tables, now, slice_
        self._outlook = outlook or (lambda _: OUTLOOK_UNKNOWN)
        self._lines: dict[ProjectId, tuple[int, dict[str, Waiter]]] = {}
        self._more: set[ProjectId] = set()

    def read(self, project: ProjectId) -> Book | None:
        """Return the project's book as it stands now, None where the project has no ledger."""
        stored: Stored[LedgerRow] | None = self._tables.read("core", project, names.LEDGER_KEY, LedgerRow)
        return self._draft(project, stored).book if stored is not None else None

    def has_more(self, project: ProjectId) -> bool:
        """Tell whether the last write left somebody in line who could be admitted."""
        return project in self._more

    def write(self, project: ProjectId, requests: Sequence[Callable[[Book], Entry]]) -> list[SessionRow] | None:
        """Carry the requests and what promotions follow out in one transaction; return who was promoted.

        None: a row was not as it was read, and nothing was written. Without requests and promotions nothing is.
        """
        stored: Stored[LedgerRow] | None = self._tables.read("core", project, names.LEDGER_KEY, LedgerRow)
        if stored is None:
            raise StorageUnavailable(f"project {project} has no ledger")
        draft = self._draft(project, stored)
        for request in requests:
            self._take(draft, request(draft.book))
        self._promote(project, draft)
        if not requests and not draft.promoted:
            self._more.discard(project)
            return []
        if not self._tables.commit("core", project, self._closed(draft)):
            return None
        self._lines[project] = (_revision_after(draft), draft.waiters)
        return draft.promoted

    def _draft(self, project: ProjectId, stored: Stored[LedgerRow]) -> _Draft:
        row = stored.row
        settings = row.held_settings
        now = max(self._now(), row.shares_at or self._now())
        waiters = self._waiters(project, row)
        ledger = ledger_of(row).brought_to(now, settings.line)
        outlook = self._outlook(settings)
        book = Book(
            settings=settings,
            ledger=ledger,
            line=Line(list(waiters.values()), ledger.shares, settings.line),
            now=now,
            quota=outlook.quota(),
            rates=outlook.dearest(),
            slice=self._slice,
            revision=row.revision + 1,
        )
        return _Draft(stored=stored, book=book, waiters=dict(waiters))

    def _waiters(self, project: ProjectId, row: LedgerRow) -> Mapping[str, Waiter]:
        """Return the line by row key. It is scanned only where somebody waits and another process has written since."""
        if row.waiting == 0:
            return {}
        revision, known = self._lines.get(project, (-1, {}))
        if revision == row.revision and len(known) == row.waiting:
            return known
        found = self._tables.scan("core", project, names.WAITERS, WaitRow)
        return {stored.key: stored.row.waiter for stored in found}

    def _take(self, draft: _Draft, entry: Entry) -> None:
        draft.changes += entry.changes
        if entry.joins is not None:
            key = names.waiter_key(entry.joins.since, entry.joins.session)
            draft.waiters[key] = entry.joins
            draft.fresh.add(key)
            draft.changes.append(Insert(key, _wait_row(entry.joins)))
        if entry.leaves is not None:
            self._leave(draft, entry.leaves)
        line = draft.book.line
        if entry.leaves is not None:
            line = Line(list(draft.waiters.values()), entry.ledger.shares, draft.book.settings.line)
        elif entry.ledger is not draft.book.ledger:
            line = line.under(entry.ledger.shares)
        if entry.joins is not None and entry.leaves is None:
            line = line.joined_by(entry.joins)
        draft.book = replace(draft.book, ledger=entry.ledger, line=line, index=draft.book.index + 1)

    def _leave(self, draft: _Draft, waiter: Waiter) -> None:
        key = names.waiter_key(waiter.since, waiter.session)
        if draft.waiters.pop(key, None) is not None:
            draft.changes.append(Delete(key, ANYHOW))

    def _promote(self, project: ProjectId, draft: _Draft) -> None:
        """Admit whoever of the line can be. Who came in this very transaction has its row in it already: next time."""
        if not draft.waiters:
            self._more.discard(project)
            return
        read: dict[str, Stored[SessionRow]] = {}
        room = (LARGEST_TRANSACTION - ROWS_KEPT_FREE - len(draft.changes)) // ROWS_A_PROMOTION
        touched = {change.key for change in draft.changes}

        def usable(waiter: Waiter) -> bool:
            key = names.session_key(waiter.session)
            if key in touched or len(read) >= room:
                return False
            stored = self._tables.read("core", project, key, SessionRow)
            ready = stored is not None and stored.row.state is SessionState.WAITING and stored.row.stop_reason is None
            if stored is not None and ready:
                read[waiter.session] = stored
            return ready

        ledger, grants = promotions(draft.book, usable=usable)
        self._more.discard(project)
        if (draft.fresh or len(grants) >= room) and len(promotions(draft.book)[1]) > len(grants):
            self._more.add(project)
        outlook = self._outlook(draft.book.settings)
        for index, grant in enumerate(grants, start=1):
            self._grant(draft, grant, read[grant.waiter.session], outlook, index)
        draft.book = replace(draft.book, ledger=ledger)

    def _grant(self, draft: _Draft, grant: Grant, stored: Stored[SessionRow], outlook: Outlook, index: int) -> None:
        book = draft.book
        row = begun(stored.row, book, grant.gpu_type, outlook)
        row = msgspec.structs.replace(row, wakes=row.wakes + 1)
        self._leave(draft, grant.waiter)
        draft.changes += [
            Update(stored.key, row, stored.etag),
            new_wake(row.session, "promoted", book.now),
            outbox(EventType.SESSION_PROVISIONING, row, CONTROL_PLANE, book.now, ledger_facts(book, further=index)),
        ]
        draft.promoted.append(row)

    def _closed(self, draft: _Draft) -> list[Change]:
        before, book = ledger_of(draft.stored.row), draft.book
        changes = list(draft.changes)
        cap = book.settings.project_cap
        if before.reserved < cap <= book.ledger.reserved:
            facts: dict[str, object] = {"maxConcurrentSessionsPerProject": cap, "waiting": len(draft.waiters)}
            changes.append(outbox_entry(EventType.CAP_REACHED, "gpuSettings", facts, CONTROL_PLANE, book.now))
        ledger = book.ledger
        if (budget := book.settings.budget) is not None:
            reached = thresholds_reached(ledger, budget)
            changes += [_threshold(ledger, budget, percent, book.now) for percent in reached]
            ledger = replace(ledger, alerted=(*ledger.alerted, *reached))
        return [*changes, _written(draft.stored, ledger, len(draft.waiters), _revision_after(draft))]


def _revision_after(draft: _Draft) -> int:
    """Return the ledger's revision after this write: the next one where a change of places is told, which I13 counts.

    A slice of budget that is held takes or gives nobody a place, and is told nowhere: it leaves the revision.
    """
    told = any(
        isinstance(change, Insert) and isinstance(change.row, OutboxRow) and "ledgerRevision" in change.row.data
        for change in draft.changes
    )
    return draft.book.revision if told else draft.stored.row.revision


def _threshold(ledger: Ledger, budget: BudgetSettings, percent: int, now: datetime) -> Insert:
    facts: dict[str, object] = {
        "percent": percent,
        "month": ledger.month,
        "monthlyAmount": str(budget.monthly_amount),
        "used": f"{ledger.spent + sum(ledger.accrued.values(), Decimal(0)):.6f}",
        "currency": budget.currency,
        "hardStop": budget.hard_stop,
    }
    return outbox_entry(EventType.BUDGET_THRESHOLD, "budget", facts, CONTROL_PLANE, now, seq=percent)


def ledger_of(row: LedgerRow) -> Ledger:
    """Return what a project's ledger row counts."""
    shares = Shares(at=row.shares_at, by_user={user: Share(*pair) for user, pair in row.shares.items()})
    return Ledger(
        by_type=row.by_type,
        by_user=row.by_user,
        shares=shares,
        held_s=row.held_s,
        month=row.month,
        spent=row.spent,
        accrued=row.accrued,
        authorised=row.authorised,
        alerted=tuple(row.alerted),
    )


def _wait_row(waiter: Waiter) -> WaitRow:
    return WaitRow(
        session=waiter.session,
        user=waiter.user,
        gpu_types=list(waiter.gpu_types),
        since=waiter.since,
        until=waiter.until,
    )


def _written(stored: Stored[LedgerRow], ledger: Ledger, waiting: int, revision: int) -> Update:
    columns: dict[str, Any] = {
        "by_type": dict(ledger.by_type),
        "by_user": dict(ledger.by_user),
        "shares": {user: (round(share.used_s, 3), share.rate) for user, share in ledger.shares.by_user.items()},
        "shares_at": ledger.shares.at,
        "held_s": dict(ledger.held_s),
        "month": ledger.month,
        "spent": ledger.spent,
        "accrued": dict(ledger.accrued),
        "authorised": dict(ledger.authorised),
        "alerted": list(ledger.alerted),
    }
    return Update(
        stored.key, msgspec.structs.replace(stored.row, revision=revision, waiting=waiting, **columns), stored.etag
    )
