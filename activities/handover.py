"""Replacing a session's driver: an everyday path, since a killed worker leaves orchestrations Failed for good."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec

from activities.traced import tell_of_lost_driver
from shared.domain.driving import Drive, Order
from shared.domain.events import EventType
from shared.domain.names import ProjectId, SessionId
from shared.domain.records import SessionRow
from shared.ports.drivers import Drivers, DriverState
from shared.ports.outgoing import CONTROL_PLANE, outbox
from shared.ports.sessions import session_update, until_settled
from shared.ports.tables import Change
from shared.ports.world import World


async def hand_over_session(wire: dict[str, Any], world: World, drivers: Drivers) -> dict[str, Any]:
    """Book the next epoch and start its driver. A second run starts the driver that the first one booked."""
    order = msgspec.convert(wire, Order)
    epoch = await asyncio.to_thread(book_next, world, order.project, order.session, order.epoch)
    if epoch is not None:
        drive = Drive(project=order.project, session=order.session, epoch=epoch, trace=order.trace)
        if await drivers.state(drive) is DriverState.MISSING:
            await drivers.start(drive)
    return {"epoch": epoch}


async def adopt(world: World, drivers: Drivers, project: ProjectId, session: SessionId, epoch: int) -> bool:
    """Start the next driver of a session whose driver of this epoch is lost; tell whether this call was the one.

    One conditional write decides: only the winner starts (durable-measured.md 9, rule 7).
    """
    lost = await asyncio.to_thread(_book, world, project, session, epoch)
    if lost is None:
        return False
    tell_of_lost_driver(world, lost)
    await drivers.start(Drive(project=project, session=session, epoch=epoch + 1, trace=lost.trace))
    return True


def book_next(world: World, project: ProjectId, session: SessionId, epoch: int) -> int | None:
    """Make `epoch + 1` the session's epoch unless it is already; return it, None where no driver is needed any more."""
    if book_if_current(world, project, session, epoch):
        return epoch + 1
    stored = world.sessions.session(project, session)
    if stored is None or stored.row.finished or stored.row.epoch != epoch + 1:
        return None
    return epoch + 1


def book_if_current(world: World, project: ProjectId, session: SessionId, epoch: int) -> bool:
    """Book the next epoch if the session is still in this one and not finished. The wait of the old one is cleared."""
    return _book(world, project, session, epoch) is not None


def _book(world: World, project: ProjectId, session: SessionId, epoch: int) -> SessionRow | None:
    """Book the next epoch where this one is the session's; return the row as it was in this one, None elsewhere."""

    def attempt() -> tuple[SessionRow | None] | None:
        stored = world.sessions.session(project, session)
        if stored is None or stored.row.epoch != epoch or stored.row.finished:
            return (None,)
        row = msgspec.structs.replace(
            stored.row, epoch=epoch + 1, round=0, wake=None, booked_at=world.now(), next_look_at=None
        )
        changes: list[Change] = [
            session_update(stored, row),
            outbox(EventType.DRIVER_REPLACED, row, CONTROL_PLANE, row.booked_at),
        ]
        return (stored.row,) if world.sessions.commit(project, changes) else None

    return until_settled(attempt)[0]
