"""Promoting who waits in line: in the transactions that free a place, and again on a timer, in case one was missed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

from activities.waking import raise_wake
from shared.domain.names import ProjectId
from shared.domain.placement import environments_of
from shared.ports.drivers import Drivers
from shared.ports.environments import EnvironmentUnknown
from shared.ports.governance import GovernanceUnknown
from shared.ports.tables import StorageUnavailable
from shared.ports.world import World

log = logging.getLogger("devboxgpu.promoting")

STEPS = ThreadPoolExecutor(32, thread_name_prefix="step")
"""Steps of this process that may wait for the ledger or for Azure at once."""
GLANCE_S = 0.3


async def carry_out(
    step: Callable[[dict[str, Any], World], dict[str, Any]], order: dict[str, Any], world: World, drivers: Drivers
) -> dict[str, Any]:
    """Carry out a step that may change the ledger, and wake whom it has promoted. It blocks on storage: in a thread."""
    facts = await asyncio.get_running_loop().run_in_executor(STEPS, step, order, world)
    await wake_promoted(world, drivers)
    return facts


async def promote_lines(world: World, drivers: Drivers) -> None:
    """Admit whoever waits and could be admitted: the safety net under the promotion that each release makes itself."""
    try:
        for project in await asyncio.to_thread(world.sessions.projects_with_a_line):
            await asyncio.to_thread(promote_line, world, project)
    except StorageUnavailable as trouble:
        log.warning("line.unsure why=%s", trouble)
    await wake_promoted(world, drivers)


def promote_line(world: World, project: ProjectId) -> None:
    """Look around, Dev Center's bounds included, and admit whoever waits in this project and could be admitted."""
    look_around(world, project)
    with suppress(GovernanceUnknown):
        world.sessions.hold_bounds(project, world.governance.bounds(project))
    world.sessions.ledgers.promote(project)


def look_around(world: World, project: ProjectId) -> None:
    """Ask anew what Azure's quota leaves, what it costs, what others have met; what cannot be asked stays as it was."""
    settings = world.sessions.recent_policy(project)
    places = environments_of(settings, world.settings.environments)
    for region, environment_id in places.items():
        world.prices.rate(region, settings.gpu_types[0].type)
        with suppress(EnvironmentUnknown):
            world.environments.facts(environment_id)
    world.memory.refresh(places)


def glance_around(world: World, project: ProjectId) -> None:
    """Look around, but let nobody wait long for it: what comes later serves the next decision."""
    with suppress(TimeoutError):
        STEPS.submit(look_around, world, project).result(timeout=GLANCE_S)


async def wake_promoted(world: World, drivers: Drivers) -> None:
    """Wake the drivers of the sessions that this process has just promoted."""
    for session in world.sessions.ledgers.take_promoted():
        await raise_wake(world, drivers, session)
