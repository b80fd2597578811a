"""Sealing the audit (docs/decisions/0020): the sweep's work, a step at a time, each of them one insert.

Where the next seal goes on is written in the last one, and a seal's key is its number: of two that seal at the same
time one finds the number taken and stops; a crash between any two lines leaves a chain that the next sweep continues.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta

from shared.domain import names
from shared.domain.names import ProjectId
from shared.domain.records import OutboxRow
from shared.domain.sealing import (
    ENTRIES_A_SEAL,
    LOOK_BACK,
    SETTLES,
    SealedEntry,
    SealRow,
    closing_seal,
    covered_in,
    digest_of,
    first_seal,
    may_close,
    next_seal,
)
from shared.ports.seals import add_seal, digests_on, newest_seal, seals_since
from shared.ports.sessions import CORE
from shared.ports.tables import Tables
from shared.ports.world import World

log = logging.getLogger("devboxgpu.sealing")

MOST_A_RUN = 20


def seal_audit(world: World, project: ProjectId) -> int:
    """Seal what has settled of a project's audit, and close days that are over; return how many seals that made."""
    tables, now = world.sessions.tables, world.now()
    last = newest_seal(tables, project)
    if last is None:
        return int(_added(tables, project, first_seal(now.astimezone(UTC).date(), now)))
    made = 0
    while made < MOST_A_RUN:
        following = _following(tables, project, last, now)
        added = 0
        for seal in following:
            if not _added(tables, project, seal):
                return made
            last, added = seal, added + 1
        made += added
        if not added or (len(last.entries) < ENTRIES_A_SEAL and not may_close(last, now)):
            break
    return made


def _following(tables: Tables, project: ProjectId, last: SealRow, now: datetime) -> Iterator[SealRow]:
    """Yield the next seals: of the open day's settled entries, or where none are left those that close it."""
    entries = _settled(tables, project, last, now)
    if entries:
        yield next_seal(last, entries, last.next_day, now)
    elif may_close(last, now):
        yield from _closing(tables, project, last, now)


def _settled(tables: Tables, project: ProjectId, last: SealRow, now: datetime) -> dict[str, str]:
    first, end = names.outbox_span(_midnight(last.next_day), now - SETTLES)
    keys = (f"{last.next_key} " if last.next_key else first, end)
    partition = names.audit_partition(project, last.next_day)
    found = tables.scan("audit", partition, keys, SealedEntry, most=ENTRIES_A_SEAL) if keys[0] < end else []
    return {stored.key: digest_of(stored.key, stored.row) for stored in found}


def _closing(tables: Tables, project: ProjectId, last: SealRow, now: datetime) -> Iterator[SealRow]:
    """Yield seals of all that came late in the last days, then the one that closes the open day.

    Nothing is closed while entries of that day wait to be copied.
    """
    seals = seals_since(tables, project, last.next_day - LOOK_BACK)
    began = max(last.next_day - LOOK_BACK, seals[0].day if seals[0].number == 1 else date.min)
    covered = covered_in(seals)
    for back in range((last.next_day - began).days, -1, -1):
        day = last.next_day - timedelta(days=back)
        present = digests_on(tables, project, day)
        if not back and _waiting(tables, project, day) - present.keys():
            return
        late = sorted(present.keys() - covered.get(day, {}).keys())
        for at in range(0, len(late), ENTRIES_A_SEAL):
            last = next_seal(last, {key: present[key] for key in late[at : at + ENTRIES_A_SEAL]}, day, now)
            yield last
    yield closing_seal(last, now)


def _waiting(tables: Tables, project: ProjectId, day: date) -> set[str]:
    span = names.outbox_span(_midnight(day), _midnight(day + timedelta(days=1)))
    return {stored.key for stored in tables.scan(CORE, project, span, OutboxRow)}


def _added(tables: Tables, project: ProjectId, seal: SealRow) -> bool:
    added = add_seal(tables, project, seal)
    if added:
        facts = (project, seal.number, seal.day, len(seal.entries), seal.hash)
        log.info("audit.sealed project=%s number=%d day=%s entries=%d hash=%s", *facts)
    return added


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)
