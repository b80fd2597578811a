"""Writing refused attempts into the audit: rows of their own, since nothing changed that they could go with."""

from __future__ import annotations

import logging

from shared.domain import names
from shared.domain.events import EventType
from shared.domain.names import ProjectId
from shared.domain.records import OutboxRow
from shared.domain.refusals import Tally
from shared.ports import ids
from shared.ports.tables import Insert, StorageUnavailable
from shared.ports.world import World

log = logging.getLogger("devboxgpu.refusals")


def write_refusals(world: World) -> int:
    """Write down what is due; return how many rows that made. What storage does not take waits for the next time."""
    written = 0
    for tally in world.refusals.take_due(world.now()):
        try:
            written += _write(world, tally)
        except StorageUnavailable as trouble:
            log.warning("refusals.kept attempts=%d why=%s", tally.count, trouble)
            world.refusals.put_back(tally)
    return written


def _write(world: World, tally: Tally) -> bool:
    first = tally.first
    row = OutboxRow(
        event_type=EventType.ACCESS_REFUSED,
        subject=f"operations/{first.operation}",
        at=first.at,
        data={
            "status": first.status,
            "error": first.code,
            "target": first.target,
            "attempts": tally.count,
            "lastAt": tally.last_at.isoformat(),
        },
        actor=first.actor,
        request=first.request,
        source=first.source,
    )
    key = names.outbox_key(int(first.at.timestamp() * 1000), ids.new_op())
    partition = names.audit_partition(_whose(world, tally), first.at.date())
    return world.sessions.tables.commit("audit", partition, [Insert(key, row)])


def _whose(world: World, tally: Tally) -> ProjectId:
    """Return the project that the attempt is told to: one that there is, and not to strangers' attempts.

    Whoever has no accepted token can name any project, so that what they do is told to the platform's operators alone.
    """
    first = tally.first
    if first.is_anonymous or not first.project:
        return names.PLATFORM
    project = ProjectId(first.project)
    return project if world.sessions.settings(project) is not None else names.PLATFORM
