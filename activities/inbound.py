"""Events from outside: Azure about our apps, the customer's automation about Dev Boxes. They hurry; rows decide.

An event may come late, twice, out of order or never. It is remembered only after it was acted on, so that one whose
handling died is acted on again; acting twice does nothing twice. What cannot be read is put aside and accepted: an
exception would have it delivered again for a day. Only storage that does not answer asks for that.
"""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta

from activities.closing import Closed, close
from activities.waking import raise_wake, wake_session
from shared.domain.events import Actor, EventType
from shared.domain.inbound import DevBoxGone, Event, Malformed, ResourceChanged, meaning, seen_key, shown
from shared.domain.records import ShellRow
from shared.domain.states import SessionState
from shared.domain.sweep_records import DeadRow, SeenRow, day_partition, dead_partition
from shared.ports.drivers import Drivers
from shared.ports.outgoing import outbox_entry
from shared.ports.sessions import until_settled
from shared.ports.tables import Insert
from shared.ports.world import World

log = logging.getLogger("devboxgpu.inbound")

AUTOMATION = Actor("dev-box-automation")
"""The actor of what is closed because its Dev Box is gone."""


async def receive(event: Event, world: World, drivers: Drivers) -> None:
    """Act on an event once. Raise StorageUnavailable, and nothing else: it is then delivered again."""
    try:
        told = meaning(event)
    except Malformed as fault:
        await asyncio.to_thread(_put_aside, event, str(fault), world)
        return
    if told is None or await asyncio.to_thread(_is_seen, event, world):
        return
    if isinstance(told, ResourceChanged):
        await wake_session(told.session, world, drivers)
    else:
        for closed in await asyncio.to_thread(_close_shells_of, told, event, world):
            if not closed.open_shells:
                await raise_wake(world, drivers, closed.session)
    await asyncio.to_thread(_remember, event, world)


def _is_seen(event: Event, world: World) -> bool:
    """Look into today's and yesterday's rows: Event Grid delivers for a day."""
    key, now = seen_key(event.source, event.id), world.now()
    days = (day_partition(now), day_partition(now - timedelta(days=1)))
    return any(world.sessions.tables.read("seen", day, key, SeenRow) is not None for day in days)


def _remember(event: Event, world: World) -> None:
    row = SeenRow(event_type=event.type, at=world.now())
    world.sessions.tables.commit("seen", day_partition(row.at), [Insert(seen_key(event.source, event.id), row)])


def _put_aside(event: Event, why: str, world: World) -> None:
    """Keep what could not be read for a month, without secrets. The same event again finds its row."""
    now, payload = world.now(), shown({"subject": event.subject, "data": event.data})
    row = DeadRow(
        reason=why,
        at=now,
        event_type=shown(event.type)[:200],
        source=shown(event.source)[:200],
        event_id=shown(event.id)[:200],
        payload=payload,
    )
    key = seen_key(f"{event.source}\n{event.type}\n{payload}", event.id)
    world.sessions.tables.commit("seen", dead_partition(now), [Insert(key, row)])
    log.warning("event.malformed type=%s id=%s why=%s", row.event_type, row.event_id, why)


def _close_shells_of(gone: DevBoxGone, event: Event, world: World) -> list[Closed]:
    """Close what was opened from the Dev Box before it went; the audit says why. Where nothing was open: nothing."""
    because = f"Dev Box {gone.dev_box} was {gone.how}"
    closed = [
        done
        for shell in world.sessions.shells_of(gone.project, gone.user)
        if _was_opened_from(shell, gone) and (done := _close(shell, because, world)) is not None
    ]
    if closed:
        facts: dict[str, object] = {"user": gone.user, "devBox": gone.dev_box, "how": gone.how, "shells": len(closed)}
        entry = outbox_entry(
            EventType.DEV_BOX_STOPPED, f"devBoxes/{gone.dev_box}", {**facts, "event": event.id}, AUTOMATION, world.now()
        )
        world.sessions.commit(gone.project, [entry])
    return closed


def _was_opened_from(shell: ShellRow, gone: DevBoxGone) -> bool:
    """Tell whether an open shell is the Dev Box's. One that was opened later came from the box started anew."""
    before = gone.at is None or shell.created_at <= gone.at
    return shell.closed_at is None and before and shell.origin.get("devBox", "").lower() == gone.dev_box.lower()


def _close(shell: ShellRow, because: str, world: World) -> Closed | None:
    """Close a shell as CloseShell does; None where there is nothing (left) to close."""

    def attempt() -> tuple[Closed | None] | None:
        stored = world.sessions.shell(shell.project, shell.user, shell.shell)
        session = world.sessions.session(shell.project, shell.session)
        over = session is None or session.row.state is SessionState.ENDED
        if stored is None or stored.row.closed_at is not None or session is None or over:
            return (None,)
        closed = close(world, stored, session, AUTOMATION, because=because)
        return (closed,) if closed is not None else None

    return until_settled(attempt)[0]
