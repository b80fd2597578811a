"""Beginning and ending a sweep: one at a time, in the slot it is due, and known to be late when it is.

Two sweeps at once do no harm, each repair being conditional or idempotent; the lease saves the work.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import msgspec

from activities.sealing import seal_audit
from shared.domain import names
from shared.domain.names import sweep_instance
from shared.domain.records import LedgerRow, Row
from shared.domain.sweep_records import (
    EVERY_KEY,
    SWEEP_KEY,
    SWEEPS,
    SweepRow,
    day_partition,
    dead_partition,
    listed_partition,
)
from shared.domain.sweeping import (
    days_past_keeping,
    is_due,
    is_overdue,
    lag,
    lease_of,
    may_lead,
    slot_of,
    takes_estimates,
)
from shared.ports.drivers import Drivers, DriverUnknown
from shared.ports.sessions import CORE
from shared.ports.tables import Delete, Insert, StorageUnavailable, Stored, Update, by_transaction
from shared.ports.world import World

log = logging.getLogger("devboxgpu.sweep")

SEEN_FOR = timedelta(hours=48)
DEAD_FOR = timedelta(days=30)
MOST_FORGOTTEN = 500
LEDGERS = (names.LEDGER_KEY, f"{names.LEDGER_KEY}.")


async def start_if_due(world: World, drivers: Drivers) -> bool:
    """Start the sweep of the present slot unless one has begun in it; tell whether it was started."""
    return await _start_if(is_due, world, drivers)


async def start_if_overdue(world: World, drivers: Drivers) -> bool:
    """Start a sweep where the timer must be silent. Looked at once a minute in a process: most calls cost nothing."""
    if not world.sweep_check.is_due(world.now()):
        return False
    return await _start_if(is_overdue, world, drivers)


async def _start_if(
    question: Callable[[SweepRow | None, datetime, timedelta], bool], world: World, drivers: Drivers
) -> bool:
    now, every = world.now(), world.settings.sweep_every
    try:
        last = await asyncio.to_thread(_last, world)
        if not question(last.row if last else None, now, every):
            return False
        await drivers.start_sweep(slot_of(now, every))
    except (StorageUnavailable, DriverUnknown) as trouble:
        log.warning("sweep.unsure why=%s", trouble)
        return False
    return True


def begin_sweep(wire: dict[str, Any], world: World) -> dict[str, Any]:
    """Take the lease and return what is to be swept; nothing where another sweep has this slot."""
    slot, now, every = int(wire["slot"]), world.now(), world.settings.sweep_every
    last, holder = _last(world), sweep_instance(slot)
    if not may_lead(last.row if last else None, holder, slot, now, every):
        return {"leads": False}
    began_at = last.row.started_at if last and last.row.holder == holder else now
    row = SweepRow(slot=slot, holder=holder, started_at=began_at, expires_at=now + lease_of(every))
    change = Update(last.key, row, last.etag) if last else Insert(SWEEP_KEY, row)
    if not world.sessions.tables.commit("seen", SWEEPS, [change]):
        return {"leads": False}
    late = lag(last.row if last else None, began_at, every)
    log.info("sweep.lag seconds=%.0f slot=%d", late.total_seconds(), slot)
    return {
        "leads": True,
        "startedAt": began_at.isoformat(),
        "estimates": takes_estimates(slot, every),
        "secondLookSeconds": world.settings.orphan_grace.total_seconds(),
        "projects": [found for found, _ in world.sessions.tables.scan_all(CORE, LEDGERS, LedgerRow)],
    }


def finish_sweep(wire: dict[str, Any], world: World) -> dict[str, Any]:
    """Give the lease back, and let go what is past keeping of the sweeps' and the events' own rows."""
    slot, now, last = int(wire["slot"]), world.now(), _last(world)
    _forget(world, [day_partition(day) for day in days_past_keeping(now, SEEN_FOR)])
    _forget(world, [dead_partition(day) for day in days_past_keeping(now, DEAD_FOR)])
    _forget(world, [listed_partition(day) for day in days_past_keeping(now, timedelta(0))])
    for nobodys in (names.PLATFORM, names.NOBODYS):
        seal_audit(world, nobodys)
    if last is not None and last.row.holder == sweep_instance(slot) and last.row.finished_at is None:
        done = msgspec.structs.replace(last.row, finished_at=now)
        world.sessions.tables.commit("seen", SWEEPS, [Update(last.key, done, last.etag)])
        took_s = (now - last.row.started_at).total_seconds()
        log.info("sweep.done slot=%d seconds=%.0f found=%d", slot, took_s, int(wire["found"]))
    return {}


def _last(world: World) -> Stored[SweepRow] | None:
    return world.sessions.tables.read("seen", SWEEPS, SWEEP_KEY, SweepRow)


def _forget(world: World, partitions: list[str]) -> None:
    """Remove the rows of these days, some hundreds of each: what is left over goes with the next sweep."""
    tables = world.sessions.tables
    for partition in partitions:
        rows = tables.scan("seen", partition, EVERY_KEY, Row, most=MOST_FORGOTTEN)
        for batch in by_transaction(rows):
            tables.commit("seen", partition, [Delete(row.key, row.etag) for row in batch])
