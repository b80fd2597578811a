"""What the sweep makes of what it has found. Pure: every doubt can be tested. What is not known changes nothing.

Three lists are compared: what the rows say should live, what Azure says lives, what the engine says runs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

import msgspec

from shared.domain.names import SessionId, app_name
from shared.domain.records import SessionRow
from shared.domain.states import COUNTED, SessionState
from shared.domain.sweep_records import GlanceRow, SuspectRow, SweepRow

SILENT_AFTER = timedelta(seconds=120)
"""A driver that is so late for its next look is replaced although the engine calls it alive (durable-measured.md 9)."""
UNSEEN_AFTER = timedelta(seconds=30)
"""A wake-up that no driver has taken for so long is raised again by the sweep (durable-measured.md 8)."""
OVERDUE_SLOTS = 2
"""Slots without a sweep after which a call of the API starts one: the timer is silent (reliability.md 2.2 E6)."""
ESTIMATES_EVERY = timedelta(minutes=15)
"""How often the usage of sessions that run is written down: each time costs two storage transactions a session."""
SHORTEST_LEASE = timedelta(seconds=60)


class Found(StrEnum):
    """What a sweep may find. On the wire of SweepReport and in the audit: only ever grows."""

    ORPHAN = "OrphanApp"
    DRIVER_LOST = "DriverLost"
    APP_MISSING = "AppMissing"
    WAKE_UNSEEN = "WakeUnseen"
    LEDGER_DRIFT = "LedgerDrift"
    LINE_MOVED = "LineMoved"
    RETIRED = "Retired"


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that was found. `repaired` False: only seen, to be repaired by a later look, or a dry run."""

    what: Found
    subject: str
    detail: str
    repaired: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedApp:
    """A container app with our tag as Azure lists it. `project` is its tag's, which anybody may have written."""

    name: str
    project: str | None
    created_at: datetime | None
    deleting: bool


def slot_of(now: datetime, every: timedelta) -> int:
    """Return the number of the slot that this instant is in. Slots of one length count from the epoch."""
    return int(now.timestamp() // every.total_seconds())


def begun_at(slot: int, every: timedelta) -> datetime:
    """Return when a slot begins: a sweep that starts then is not late."""
    return datetime.fromtimestamp(slot * every.total_seconds(), UTC)


def is_due(last: SweepRow | None, now: datetime, every: timedelta) -> bool:
    """Tell whether no sweep has begun in the present slot. By its time: slots are others when the setting changes."""
    return last is None or slot_of(last.started_at, every) < slot_of(now, every)


def is_overdue(last: SweepRow | None, now: datetime, every: timedelta) -> bool:
    """Tell whether the timer must be silent: no sweep has begun for two whole slots."""
    return last is None or now - last.started_at > OVERDUE_SLOTS * every


def may_lead(last: SweepRow | None, holder: str, slot: int, now: datetime, every: timedelta) -> bool:
    """Tell whether this sweep may go on: it holds the lease already, or nobody holds one and the slot is new."""
    if last is None:
        return True
    if last.holder == holder:
        return last.finished_at is None
    return slot_of(last.started_at, every) < slot and (last.finished_at is not None or last.expires_at <= now)


def lag(last: SweepRow | None, now: datetime, every: timedelta) -> timedelta:
    """Return how late a sweep begins that should have begun one slot after the last one: zero where it is in time."""
    return max(timedelta(0), now - last.started_at - every) if last is not None else timedelta(0)


def lease_of(every: timedelta) -> timedelta:
    """Return how long a sweep keeps others away: no longer than to the next slot, whose sweep then takes over."""
    return max(SHORTEST_LEASE, every)


def takes_estimates(slot: int, every: timedelta) -> bool:
    """Tell whether the sweep of this slot writes down the usage of running sessions."""
    before = begun_at(slot - 1, every)
    return slot_of(before, ESTIMATES_EVERY) != slot_of(begun_at(slot, every), ESTIMATES_EVERY)


def unowned(apps: Iterable[ListedApp], rows: Iterable[GlanceRow]) -> list[ListedApp]:
    """Return the apps that no session owns, as far as one look tells. The rows must be read after the apps."""
    owned = {app_name(row.session) for row in rows if row.state is not SessionState.ENDED}
    return [app for app in apps if app.name.lower() not in owned and not app.deleting]


def without_app(rows: Iterable[GlanceRow], listed: Iterable[SessionId], listed_at: datetime) -> list[GlanceRow]:
    """Return the sessions that hold a GPU whose app is not among those listed (all of them) from `listed_at` on."""
    there = set(listed)
    return [
        row
        for row in rows
        if row.state in COUNTED
        and row.app_put_at is not None
        and row.app_put_at < listed_at
        and row.next_region is None
        and row.wakes == 0
        and row.session not in there
    ]


def is_orphan(row: SessionRow | None) -> bool:
    """Tell whether an app of this session has nobody: a row is surely not there, or is of an ended session."""
    return row is None or row.state is SessionState.ENDED


def may_be_removed(suspect: SuspectRow, now: datetime, grace: timedelta) -> bool:
    """Tell whether an app without a session may go: seen twice, so far apart, and not just created."""
    created_at = suspect.created_at or suspect.first_seen_at
    return now - suspect.first_seen_at >= grace and now - created_at >= grace


def driver_is_lost(row: SessionRow, *, alive: bool, now: datetime, grace: timedelta) -> bool:
    """Tell whether a session needs the next driver. One that was booked just now may not have been seen yet."""
    if row.finished or now - row.booked_at <= grace:
        return False
    return not alive or now - (row.next_look_at or row.booked_at) > SILENT_AFTER


def reservations(rows: Iterable[SessionRow]) -> tuple[dict[str, int], dict[str, int]]:
    """Return what these sessions hold, by GPU type and by user: what the ledger must say (I1, I4)."""
    by_type: dict[str, int] = {}
    by_user: dict[str, int] = {}
    for row in rows:
        if row.holds:
            by_type[row.gpu_type] = by_type.get(row.gpu_type, 0) + row.holds
            by_user[row.user] = by_user.get(row.user, 0) + row.holds
    return by_type, by_user


def drift(counted: Mapping[str, int], held: Mapping[str, int]) -> str:
    """Return in words where a ledger counts otherwise than the rows, empty where it does not."""
    wrong = sorted(name for name in {*counted, *held} if counted.get(name, 0) != held.get(name, 0))
    return ", ".join(f"{name}: {counted.get(name, 0)} counted, {held.get(name, 0)} held" for name in wrong)


def is_past_keeping(row: SessionRow, now: datetime, keep: timedelta) -> bool:
    """Tell whether an ended and settled session may leave the live table for the history."""
    return row.finished and row.ended_at is not None and now - row.ended_at > keep


def days_past_keeping(now: datetime, keep: timedelta, *, looked_back: int = 7) -> Sequence[datetime]:
    """Return the UTC days whose rows are to go: those of the week before what is kept."""
    newest = (now - keep).replace(hour=0, minute=0, second=0, microsecond=0)
    return [newest - timedelta(days=back) for back in range(1, looked_back + 1)]
