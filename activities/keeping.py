"""Keeping house on a timer: publish the outbox, repeat wake-ups that nobody has seen, replace lost drivers.

Everything here is repair: it may run twice, late, or beside itself, and an unknown answer changes nothing.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from datetime import timedelta
from itertools import groupby

import msgspec

from activities.handover import adopt
from activities.promoting import promote_lines
from activities.waking import raise_wake
from shared.domain import names
from shared.domain.driving import Drive
from shared.domain.events import PUBLISHED
from shared.domain.names import ProjectId
from shared.domain.records import OutboxRow, SessionRow, WakeRow
from shared.ports.drivers import Drivers, DriverState, DriverUnknown
from shared.ports.event_topic import TopicUnavailable
from shared.ports.sessions import CORE
from shared.ports.tables import Change, Delete, Insert, StorageUnavailable, Stored, Update
from shared.ports.world import World

log = logging.getLogger("devboxgpu.keeping")

DEAF_AFTER_REPEATS = timedelta(seconds=15)
SILENT_AFTER = timedelta(seconds=120)
BATCH = 100


async def keep_house(world: World, drivers: Drivers) -> None:
    """One round of repair over all projects."""
    await asyncio.to_thread(drain_outbox, world)
    repeated = await repeat_wakes(world, drivers)
    await replace_lost_drivers(world, drivers, repeated)
    await promote_lines(world, drivers)


def drain_outbox(world: World) -> int:
    """Publish what waits and copy it to the audit; delete only what both have taken. Return how many left."""
    waiting = world.sessions.tables.scan_all(CORE, names.OUTBOX_EVENTS, OutboxRow)
    drained = 0
    for (partition, _), group in groupby(waiting, key=lambda entry: (entry[0], entry[1].row.at.date())):
        entries = [stored for _, stored in group]
        for start in range(0, len(entries), BATCH):
            batch, project = entries[start : start + BATCH], ProjectId(partition)
            try:
                _publish(world, project, batch)
                _audit(world, project, batch)
                drained += _commit_all_or_each(world, CORE, project, [Delete(row.key, row.etag) for row in batch])
            except (TopicUnavailable, StorageUnavailable) as trouble:
                log.warning("outbox.kept waiting=%d why=%s", len(waiting) - drained, trouble)
                return drained
    return drained


def _publish(world: World, project: ProjectId, batch: list[Stored[OutboxRow]]) -> None:
    told = [(project, f"{project}.{row.key}", row.row) for row in batch if row.row.event_type in PUBLISHED]
    if told:
        world.topic.publish(told)


def _audit(world: World, project: ProjectId, batch: list[Stored[OutboxRow]]) -> None:
    """Insert the audit rows under the outbox rows' own keys: a second time finds the first."""
    partition = f"{project}~{batch[0].row.at:%Y%m%d}"
    _commit_all_or_each(world, "audit", partition, [Insert(stored.key, stored.row) for stored in batch])


def _commit_all_or_each(world: World, table: str, partition: str, changes: Sequence[Change]) -> int:
    """Commit in one transaction, or one by one where some were done before; return how many were done now."""
    if world.sessions.tables.commit(table, partition, changes):
        return len(changes)
    return sum(world.sessions.tables.commit(table, partition, [change]) for change in changes)


async def repeat_wakes(world: World, drivers: Drivers) -> set[str]:
    """Raise again what no driver has seen for a while; return the sessions whose driver stays deaf to it."""
    waiting = await asyncio.to_thread(world.sessions.tables.scan_all, CORE, names.OUTBOX_WAKES, WakeRow)
    deaf: set[str] = set()
    for partition, stored in waiting:
        project, wake, now = ProjectId(partition), stored.row, world.now()
        if now - wake.created_at < world.settings.repeat_wake_after:
            continue
        session = await asyncio.to_thread(world.sessions.session, project, wake.session)
        if session is None or session.row.finished:
            await asyncio.to_thread(world.sessions.commit, project, [Delete(stored.key, stored.etag)])
            continue
        repeated_to_this_driver = wake.raised_at is not None and wake.raised_at > session.row.booked_at
        if wake.raised_at is not None and repeated_to_this_driver and now - wake.raised_at > DEAF_AFTER_REPEATS:
            deaf.add(wake.session)
        await raise_wake(world, drivers, session.row)
        if not repeated_to_this_driver:
            marked = msgspec.structs.replace(wake, raised_at=now)
            await asyncio.to_thread(world.sessions.commit, project, [Update(stored.key, marked, stored.etag)])
    return deaf


async def replace_lost_drivers(world: World, drivers: Drivers, deaf: set[str]) -> None:
    """Give every session that needs one a living driver."""
    for row in await asyncio.to_thread(world.sessions.unsettled):
        try:
            if row.session in deaf or await _is_lost(world, drivers, row):
                adopted = await adopt(world, drivers, row.project, row.session, row.epoch)
                log.info("driver.replaced session=%s epoch=%d won=%s", row.session, row.epoch, adopted)
        except (DriverUnknown, StorageUnavailable) as trouble:
            log.warning("driver.unsure session=%s why=%s", row.session, trouble)


async def _is_lost(world: World, drivers: Drivers, row: SessionRow) -> bool:
    """Tell whether the session's driver is gone. It is asked for only when the session is overdue for a look."""
    expected_at = row.next_look_at or row.booked_at
    overdue = world.now() - expected_at
    if overdue <= world.settings.driver_grace:
        return False
    state = await drivers.state(Drive(project=row.project, session=row.session, epoch=row.epoch))
    return state is not DriverState.ALIVE or overdue > SILENT_AFTER
