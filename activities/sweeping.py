"""The sweep of one project: its sessions page by page, then its ledger, its line, its wake-ups, its outbox.

Each repair is conditional on what was read, so sweeps may meet; a dry run finds the same and touches nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec

from activities.keeping import has_lost_driver, repeat_wakes, replace_driver
from activities.promoting import promote_line, wake_promoted
from activities.publishing import drain_outbox
from activities.retiring import retire
from activities.sealing import seal_audit
from activities.settlement import book_usage
from shared.domain import names
from shared.domain.admission import Book, promotions
from shared.domain.budget import accrued_in
from shared.domain.events import EventType
from shared.domain.ledger import Ledger
from shared.domain.names import ProjectId
from shared.domain.records import SessionRow, WakeRow
from shared.domain.states import COUNTED
from shared.domain.sweeping import UNSEEN_AFTER, Finding, Found, drift, is_past_keeping, reservations
from shared.ports.book_keeping import Entry, ledger_of
from shared.ports.drivers import Drivers
from shared.ports.outgoing import CONTROL_PLANE, ledger_facts, outbox_entry
from shared.ports.sessions import CORE
from shared.ports.tables import Stored
from shared.ports.world import World

PAGE = 100
"""Sessions that one step looks at: the engine is asked for each, some at once, and a step has ten seconds."""
ASKED_AT_ONCE = 8
ENDS_WITHIN = timedelta(seconds=60)
"""So long before it is written may a session have ended, at the most: a step has ten seconds, clocks differ by some."""


class ProjectOrder(msgspec.Struct, frozen=True, kw_only=True):
    """The input of a step: a project, and after which of its sessions to go on."""

    project: ProjectId
    after: str
    estimates: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """One look at a project, and what it has found so far."""

    world: World
    drivers: Drivers
    project: ProjectId
    dry_run: bool = False
    found: list[Finding] = field(default_factory=list)

    def note(self, what: Found, subject: str, detail: str, *, repaired: bool = True) -> None:
        self.found.append(Finding(what=what, subject=subject, detail=detail, repaired=repaired and not self.dry_run))


async def sweep_project(wire: dict[str, Any], world: World, drivers: Drivers) -> dict[str, Any]:
    """Sweep a page of a project's sessions, with the last page the project itself. Return where to go on."""
    order = msgspec.convert(wire, ProjectOrder)
    look = Look(world=world, drivers=drivers, project=order.project)
    after = await sweep_sessions(look, order.after, estimates=order.estimates)
    if after is None:
        await sweep_books(look)
    return {"found": len(look.found), "after": after}


async def sweep_sessions(look: Look, after: str, *, estimates: bool) -> str | None:
    """Look after a page of sessions, from this key on; return the key to go on from, None where these were the last."""
    keys = (after or names.SESSIONS[0], names.SESSIONS[1])
    tables = look.world.sessions.tables
    read_at = look.world.now()
    page = await asyncio.to_thread(lambda: tables.scan(CORE, look.project, keys, SessionRow, most=PAGE))
    gate = asyncio.Semaphore(ASKED_AT_ONCE)
    await asyncio.gather(*(_give_a_driver(look, stored.row, gate) for stored in page if not stored.row.finished))
    if estimates and not look.dry_run:
        await asyncio.to_thread(_estimate, look, page, read_at)
    await asyncio.to_thread(_retire, look, page)
    return f"{page[-1].key}." if len(page) == PAGE else None


async def _give_a_driver(look: Look, row: SessionRow, gate: asyncio.Semaphore) -> None:
    """Replace a driver that is Failed, Terminated, missing or silent: the next one also settles what has ended."""
    async with gate:
        if await has_lost_driver(look.world, look.drivers, row):
            replaced = not look.dry_run and await replace_driver(look.world, look.drivers, row)
            detail = f"the driver of epoch {row.epoch} is gone; the session is {row.state}"
            look.note(Found.DRIVER_LOST, f"sessions/{row.session}", detail, repaired=replaced)


def _estimate(look: Look, page: list[Stored[SessionRow]], read_at: datetime) -> None:
    """Write down what running sessions have used so far: their own end settles it. The budget's alerts go by it.

    Usage is written down as of a while before the sessions were read: one that was about to end then has not ended
    before that, so no estimate is of a day, or at a place, that its end knows nothing of.
    """
    now, sessions = look.world.now(), look.world.sessions
    running = [stored.row for stored in page if stored.row.state in COUNTED]
    book_usage(sessions.tables, running, read_at - ENDS_WITHIN)
    ledger = sessions.ledger(look.project)
    if running and ledger is not None and ledger.row.policy.budget is not None:
        keys = (page[0].key, f"{page[-1].key}.")
        sessions.ledgers.enter(look.project, lambda book: _accrued(look, book, running, keys, now))


def _accrued(look: Look, book: Book, running: list[SessionRow], keys: tuple[str, str], now: datetime) -> Entry:
    """Return the ledger with what those of these have cost that still hold a GPU: their release writes the ledger."""
    if book.index:
        return Entry(book.ledger, ())  # others have changed it in this very transaction: the rows do not say so yet
    page = look.world.sessions.tables.scan(CORE, look.project, keys, SessionRow)
    holding = {stored.row.session for stored in page if stored.row.holds}
    costs: dict[str, Decimal] = {row.session: accrued_in(book, row, now) for row in running if row.session in holding}
    return Entry(book.ledger.accruing(costs), ())


def _retire(look: Look, page: list[Stored[SessionRow]]) -> None:
    now, keep = look.world.now(), look.world.settings.retention
    over = [stored for stored in page if is_past_keeping(stored.row, now, keep)]
    gone = 0 if look.dry_run else sum(retire(look.world, stored) for stored in over)
    if over:
        detail = f"{len(over)} sessions ended more than {keep.total_seconds() / 3600:g} hours ago"
        look.note(Found.RETIRED, "sessions", detail, repaired=gone == len(over))


async def sweep_books(look: Look) -> None:
    """Hold the ledger against the rows, let the line move up, raise what nobody has seen, publish what waits."""
    await asyncio.to_thread(_repair_ledger, look)
    await asyncio.to_thread(_move_line, look)
    await _raise_unseen(look)
    if not look.dry_run:
        await wake_promoted(look.world, look.drivers)  # a repaired ledger promotes too
        await asyncio.to_thread(drain_outbox, look.world, look.project)
        await asyncio.to_thread(seal_audit, look.world, look.project)


def _repair_ledger(look: Look) -> None:
    """Let the ledger count what the rows hold.

    Whatever takes or frees a place writes the ledger's row too: its ETag guards what the rows said.
    """
    sessions = look.world.sessions
    detail = _drift(look)
    if not detail:
        return
    done: list[bool] = []

    def request(book: Book) -> Entry:
        rows = sessions.sessions(look.project) if not book.index else []
        differs = "" if book.index else _difference(book.ledger, rows)
        done.append(bool(differs))
        if not differs:  # repaired by another sweep, or changed in this very transaction: the rows do not say so yet
            return Entry(book.ledger, ())
        by_type, by_user = reservations(rows)
        facts: dict[str, object] = {"what": Found.LEDGER_DRIFT, "detail": differs, **ledger_facts(book)}
        told = outbox_entry(EventType.SWEEP_REPAIRED, "ledger", facts, CONTROL_PLANE, book.now)
        held = book.ledger.holding_only({row.session for row in rows if row.holds})
        return Entry(replace(held, by_type=by_type, by_user=by_user), [told])

    repaired = not look.dry_run and sessions.ledgers.enter(look.project, request) and done[-1]
    look.note(Found.LEDGER_DRIFT, "ledger", detail, repaired=repaired)


def _drift(look: Look) -> str:
    """Return where ledger and rows differ, empty where they agree or change just now: then the next sweep looks."""
    sessions = look.world.sessions
    before = sessions.ledger(look.project)
    rows = sessions.sessions(look.project)
    after = sessions.ledger(look.project)
    if before is None or after is None or before.etag != after.etag:
        return ""
    return _difference(ledger_of(before.row), rows)


def _difference(ledger: Ledger, rows: Sequence[SessionRow]) -> str:
    """Return in words where a ledger counts otherwise than these rows hold, empty where it does not."""
    by_type, by_user = reservations(rows)
    strays = sorted({*ledger.authorised, *ledger.accrued} - {row.session for row in rows if row.holds})
    money = f"money is held for sessions that hold no GPU: {', '.join(strays[:5])}" if strays else ""
    return "; ".join(filter(None, (drift(ledger.by_type, by_type), drift(ledger.by_user, by_user), money)))


def _move_line(look: Look) -> None:
    book = look.world.sessions.book(look.project)
    if book is None or not len(book.line):
        return
    _, grants = promotions(book)
    if grants:
        look.note(Found.LINE_MOVED, "line", f"{len(grants)} of {len(book.line)} who wait could be admitted")
    if not look.dry_run:
        promote_line(look.world, look.project)


async def _raise_unseen(look: Look) -> None:
    tables, now = look.world.sessions.tables, look.world.now()
    waiting = await asyncio.to_thread(tables.scan, CORE, look.project, names.OUTBOX_WAKES, WakeRow)
    unseen = [(look.project, stored) for stored in waiting if now - stored.row.created_at >= UNSEEN_AFTER]
    for _, stored in unseen:
        seconds = (now - stored.row.created_at).total_seconds()
        look.note(Found.WAKE_UNSEEN, f"sessions/{stored.row.session}", f"unseen for {seconds:.0f} s ({stored.row.why})")
    if unseen and not look.dry_run:
        for session in await repeat_wakes(look.world, look.drivers, unseen, UNSEEN_AFTER):
            deaf = await asyncio.to_thread(look.world.sessions.session, look.project, names.SessionId(session))
            if deaf is not None:
                await replace_driver(look.world, look.drivers, deaf.row)
