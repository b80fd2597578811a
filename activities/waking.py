"""Azure's events only hurry: the session's driver looks for itself, and would look without them, later."""

from __future__ import annotations

import asyncio

from activities.keeping import raise_wake
from shared.domain import names
from shared.ports.drivers import Drivers
from shared.ports.world import World


async def wake_for_resource(resource_id: str, world: World, drivers: Drivers) -> bool:
    """Wake the session whose container app this resource id names; tell whether there was one to wake.

    Foreign subjects and sessions that are over are no errors: a failed delivery would be repeated for ever.
    """
    kind, _, app = resource_id.rpartition("/")
    session = names.session_of_app(app) if kind.lower().endswith("/containerapps") else None
    if session is None:
        return False
    project = await asyncio.to_thread(world.sessions.project_of, session)
    stored = await asyncio.to_thread(world.sessions.session, project, session) if project else None
    if stored is None or stored.row.finished:
        return False
    await raise_wake(world, drivers, stored.row)
    return True
