"""Publishing the outbox: every entry goes to the audit at once, and what is published also to the customer's topic.

At least once, under ids that stay the same, in order for one session. What the topic does not take holds up its own
session alone, is tried again further and further apart, and is given up in the end with a line that alerts (I13, I14).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from itertools import groupby

import msgspec

from shared.domain import names
from shared.domain.delivery import is_given_up, next_try, round_of
from shared.domain.events import PUBLISHED, EventType
from shared.domain.measures import measures_of_entry
from shared.domain.names import ProjectId
from shared.domain.records import OutboxRow
from shared.ports.event_topic import EventRefused, TopicUnavailable
from shared.ports.outgoing import CONTROL_PLANE, outbox_entry
from shared.ports.sessions import CORE
from shared.ports.tables import Change, Delete, Insert, StorageUnavailable, Stored, Update, by_transaction
from shared.ports.world import World

log = logging.getLogger("devboxgpu.publishing")

MOST_SILENCES = 2
"""Offers in one round that the topic leaves without an answer before it counts as away: the rest keep their turn."""

Entry = tuple[ProjectId, Stored[OutboxRow]]


def drain_outbox(world: World, project: ProjectId | None = None) -> int:
    """Copy what waits to the audit and offer it to the topic; remove what both have. Return how many left.

    Of all projects, or of one. What storage or the topic does not take stays for the next round.
    """
    waiting = _waiting(world, project)
    published = [entry for entry in waiting if entry[1].row.event_type in PUBLISHED]
    try:
        _audit(world, [entry for entry in waiting if not entry[1].row.audited])
        drained = _remove(world, [entry for entry in waiting if entry[1].row.event_type not in PUBLISHED])
        return drained + _publish(world, published)
    except StorageUnavailable as trouble:
        log.warning("outbox.kept waiting=%d why=%s", len(waiting), trouble)
        return 0


def _waiting(world: World, project: ProjectId | None) -> list[Entry]:
    tables = world.sessions.tables
    if project is not None:
        return [(project, stored) for stored in tables.scan(CORE, project, names.OUTBOX_EVENTS, OutboxRow)]
    return [(ProjectId(found), stored) for found, stored in tables.scan_all(CORE, names.OUTBOX_EVENTS, OutboxRow)]


def _audit(world: World, entries: Iterable[Entry]) -> None:
    """Insert the audit rows under the outbox rows' own keys: a second time finds the first. It waits for no topic."""
    for partition, group in groupby(entries, key=_day):
        rows = {stored.key: stored.row for _, stored in group}
        new = _commit(world, "audit", partition, [Insert(key, row) for key, row in rows.items()])
        world.telemetry.measure(one for change in new for one in measures_of_entry(rows[change.key]))


def _day(entry: Entry) -> str:
    return names.audit_partition(entry[0], entry[1].row.at)


def _remove(world: World, entries: Iterable[Entry]) -> int:
    return _change(world, entries, lambda stored: Delete(stored.key, stored.etag))


def _change(world: World, entries: Iterable[Entry], change: Callable[[Stored[OutboxRow]], Change]) -> int:
    """Change entries that come sorted by project; return how many were still as they were read."""
    return sum(
        len(_commit(world, CORE, project, [change(stored) for _, stored in group]))
        for project, group in groupby(entries, key=lambda entry: entry[0])
    )


def _publish(world: World, waiting: list[Entry]) -> int:
    """Offer what may be offered now; return how many events the topic took."""
    now, lifetime = world.now(), world.settings.event_lifetime
    given_up = [entry for entry in waiting if is_given_up(entry[1].row, now, lifetime)]
    for entry in given_up:
        _give_up(world, *entry)
    offer = round_of([entry for entry in waiting if entry not in given_up], now)
    _change(world, [entry for entry in offer.behind if not entry[1].row.audited], _noted)
    drained = silences = 0
    for batch in [*by_transaction(offer.together), *([entry] for entry in offer.alone)]:
        if silences == MOST_SILENCES:
            break
        try:
            world.topic.publish([(project, f"{project}.{stored.key}", stored.row) for project, stored in batch])
        except TopicUnavailable as trouble:
            silences += not isinstance(trouble, EventRefused)
            log.warning("outbox.not_taken events=%d why=%s", len(batch), trouble)
            _postpone(world, batch)
        else:
            drained += _remove(world, batch)
    return drained


def _postpone(world: World, batch: Sequence[Entry]) -> None:
    """Let the first event of each subject wait: the others of its subject wait behind it."""
    now = world.now()
    heads = {(project, stored.row.subject): (project, stored) for project, stored in reversed(batch)}

    def tried_in_vain(stored: Stored[OutboxRow]) -> Change:
        attempts = stored.row.attempts + 1
        row = msgspec.structs.replace(stored.row, audited=True, attempts=attempts, next_try_at=next_try(attempts, now))
        return Update(stored.key, row, stored.etag)

    _change(world, reversed(heads.values()), tried_in_vain)


def _noted(stored: Stored[OutboxRow]) -> Change:
    """Note that the audit has this event, which must wait: the next rounds need not copy it again."""
    return Update(stored.key, msgspec.structs.replace(stored.row, audited=True), stored.etag)


def _give_up(world: World, project: ProjectId, stored: Stored[OutboxRow]) -> None:
    """Take the event out of the outbox, and tell of it in the same transaction: the audit's copy stays as it is."""
    tables, now, row = world.sessions.tables, world.now(), stored.row
    facts: dict[str, object] = {"eventType": row.event_type, "event": stored.key, "attempts": row.attempts}
    told = outbox_entry(EventType.OUTBOX_DEAD_LETTERED, row.subject, facts, CONTROL_PLANE, now, seq=row.seq)
    if tables.commit(CORE, project, [Delete(stored.key, stored.etag), told]):
        log.error(
            "outbox.dead_lettered project=%s event=%s type=%s attempts=%d",
            project,
            stored.key,
            row.event_type,
            row.attempts,
        )


def _commit(world: World, table: str, partition: str, changes: Sequence[Change]) -> list[Change]:
    """Commit in as few transactions as may be, or one by one where some were done before; return what was done."""
    tables, done = world.sessions.tables, list[Change]()
    for part in by_transaction(changes):
        if tables.commit(table, partition, part):
            done += part
        else:
            done += [change for change in part if tables.commit(table, partition, [change])]
    return done
