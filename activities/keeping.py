"""Keeping house on a timer: the quick part of the sweep's work, for all projects: wake-ups, drivers, lines, outbox.

Everything here is repair: it may run twice, late, or beside itself, and an unknown answer changes nothing.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Sequence
from datetime import timedelta

import msgspec

from activities.handover import adopt
from activities.promoting import promote_lines
from activities.publishing import drain_outbox
from activities.refusing import write_refusals
from activities.waking import raise_wake
from shared.domain import names
from shared.domain.driving import Drive
from shared.domain.measures import measures_of_fleet
from shared.domain.names import ProjectId
from shared.domain.records import SessionRow, WakeRow
from shared.domain.states import SessionState
from shared.domain.sweeping import driver_is_lost
from shared.ports.drivers import Drivers, DriverState, DriverUnknown
from shared.ports.sessions import CORE
from shared.ports.tables import Delete, StorageUnavailable, Stored, Update
from shared.ports.world import World

log = logging.getLogger("devboxgpu.keeping")

DEAF_AFTER_REPEATS = timedelta(seconds=15)


async def keep_house(world: World, drivers: Drivers) -> None:
    """One round of repair over all projects. The outbox comes last: a topic that hangs must not hold up wake-ups."""
    waiting = await asyncio.to_thread(world.sessions.tables.scan_all, CORE, names.OUTBOX_WAKES, WakeRow)
    repeated = await repeat_wakes(world, drivers, waiting, world.settings.repeat_wake_after)
    await replace_lost_drivers(world, drivers, repeated)
    await promote_lines(world, drivers)
    await asyncio.to_thread(drain_outbox, world)
    await asyncio.to_thread(write_refusals, world)


async def repeat_wakes(
    world: World, drivers: Drivers, waiting: Iterable[tuple[str, Stored[WakeRow]]], unseen_for: timedelta
) -> set[str]:
    """Raise again what no driver has seen for so long; return the sessions whose driver stays deaf to it."""
    deaf: set[str] = set()
    for partition, stored in waiting:
        project, wake, now = ProjectId(partition), stored.row, world.now()
        if now - wake.created_at < unseen_for:
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
    """Give every session that needs one a living driver. The engine is asked only for those overdue for a look."""
    unsettled = await asyncio.to_thread(world.sessions.unsettled)
    _measure_fleet(world, unsettled)
    for row in unsettled:
        if row.session in deaf or (_is_overdue(world, row) and await has_lost_driver(world, drivers, row)):
            await replace_driver(world, drivers, row)


def _measure_fleet(world: World, unsettled: Sequence[SessionRow]) -> None:
    """Tell how many sessions there are and how many wait: one process in turn keeps house, so nobody tells it twice."""
    world.telemetry.measure(measures_of_fleet(unsettled, sorted(world.lines_told)))
    world.lines_told.clear()
    world.lines_told.update(row.project for row in unsettled if row.state is SessionState.WAITING)


def _is_overdue(world: World, row: SessionRow) -> bool:
    return world.now() - (row.next_look_at or row.booked_at) > world.settings.driver_grace


async def has_lost_driver(world: World, drivers: Drivers, row: SessionRow) -> bool | None:
    """Ask the engine whether the session's driver is gone; None where that cannot be told now."""
    try:
        state = await drivers.state(Drive(project=row.project, session=row.session, epoch=row.epoch))
    except DriverUnknown as trouble:
        log.warning("driver.unsure session=%s why=%s", row.session, trouble)
        return None
    alive = state is DriverState.ALIVE
    return driver_is_lost(row, alive=alive, now=world.now(), grace=world.settings.driver_grace)


async def replace_driver(world: World, drivers: Drivers, row: SessionRow) -> bool:
    """Start the session's next driver; tell whether this call has. Trouble leaves it to the next round."""
    try:
        adopted = await adopt(world, drivers, row.project, row.session, row.epoch)
    except (DriverUnknown, StorageUnavailable) as trouble:
        log.warning("driver.unsure session=%s why=%s", row.session, trouble)
        return False
    log.info("driver.replaced session=%s epoch=%d won=%s", row.session, row.epoch, adopted)
    return adopted
