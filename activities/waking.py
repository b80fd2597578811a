"""Waking drivers. It only hurries: a driver looks for itself, and would look without being woken, later."""

from __future__ import annotations

import asyncio
import logging

from activities.handover import adopt
from shared.domain.driving import Drive
from shared.domain.names import SessionId
from shared.domain.records import SessionRow
from shared.ports.drivers import Drivers, DriverUnknown
from shared.ports.tables import StorageUnavailable
from shared.ports.world import World

log = logging.getLogger("devboxgpu.waking")


async def raise_wake(world: World, drivers: Drivers, session: SessionRow) -> None:
    """Wake the session's driver if it waits; where it is gone, start the next one at once (rule 2)."""
    if session.wake is None:
        return
    drive = Drive(project=session.project, session=session.session, epoch=session.epoch)
    try:
        if not await drivers.wake(drive, session.wake):
            await adopt(world, drivers, session.project, session.session, session.epoch)
    except (DriverUnknown, StorageUnavailable) as trouble:
        log.warning("wake.unsure session=%s why=%s", session.session, trouble)


async def wake_session(session: SessionId, world: World, drivers: Drivers) -> bool:
    """Wake the driver of a session that somebody outside has named; tell whether there was one to wake.

    A session that is unknown or over is no error. Raise StorageUnavailable where that cannot be told.
    """
    project = await asyncio.to_thread(world.sessions.project_of, session)
    stored = await asyncio.to_thread(world.sessions.session, project, session) if project else None
    if stored is None or stored.row.finished:
        return False
    await raise_wake(world, drivers, stored.row)
    return True
