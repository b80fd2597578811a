"""Apps that nobody owns: found by comparing Azure's list with the rows, deleted after a second look (I2).

A list that fails on any page says nothing about the pages before it, and a row that cannot be read is not a row that
is not there: then everything stays as it is until the next sweep.
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

import msgspec

from shared.domain import names
from shared.domain.events import EventType
from shared.domain.names import ProjectId
from shared.domain.sweep_records import EVERY_KEY, SUSPECTS, SuspectRow
from shared.domain.sweeping import Found, ListedApp, is_orphan, may_be_removed
from shared.ports.container_apps import ArmUnknown, Gone, Later
from shared.ports.outgoing import CONTROL_PLANE, outbox_entry
from shared.ports.sessions import CORE
from shared.ports.tables import Delete, Insert, StorageUnavailable, Stored, Update
from shared.ports.world import World

log = logging.getLogger("devboxgpu.sweep")

MOST_AT_ONCE = 10
"""Suspects that one step looks at: each may cost three calls of Azure and a step has ten seconds."""
REMOVE_AGAIN_AFTER = timedelta(minutes=5)


def remove_orphans(wire: dict[str, Any], world: World) -> dict[str, Any]:
    """Note new suspects, remove those that were seen before and are still nobody's.

    Return how many were `removed`, how many are to be looked at again as soon as they may be (`young`), and the key
    `after` which there are more.
    """
    for told in wire["suspects"]:
        note_suspect(world, msgspec.convert(told, SuspectRow))
    after = str(wire["after"])
    known = world.sessions.tables.scan("seen", SUSPECTS, (after, EVERY_KEY[1]), SuspectRow, most=MOST_AT_ONCE)
    seen = [look_again(world, stored) for stored in known]
    more = f"{known[-1].key}." if len(known) == MOST_AT_ONCE else None
    return {"removed": seen.count("removed"), "young": seen.count("young"), "after": more}


def suspect_of(app: ListedApp, seen_at: datetime) -> SuspectRow:
    return SuspectRow(app=app.name, project=app.project, first_seen_at=seen_at, created_at=app.created_at)


def note_suspect(world: World, suspect: SuspectRow) -> None:
    """Remember the first look. A second one changes nothing."""
    world.sessions.tables.commit("seen", SUSPECTS, [Insert(suspect.app.lower(), suspect)])


def look_again(world: World, stored: Stored[SuspectRow]) -> str:
    """Judge a suspect by what is so now: `removed`, `young`, `cleared` (gone, or somebody's), or `unknown`."""
    suspect, now = stored.row, world.now()
    try:
        if isinstance(world.apps.look(suspect.app), Gone):
            return _cleared(world, stored)
        project = _owner(world, suspect)
        if project is None:
            return _cleared(world, stored)
        if suspect.removed_at is None and not may_be_removed(suspect, now, world.settings.orphan_grace):
            return "young"
        if suspect.removed_at is not None and suspect.told and now - suspect.removed_at < REMOVE_AGAIN_AFTER:
            return "cleared"
        return _remove(world, stored, project)
    except (ArmUnknown, StorageUnavailable) as trouble:
        log.warning("orphan.unsure app=%s why=%s", suspect.app, trouble)
        return "unknown"


def _owner(world: World, suspect: SuspectRow) -> ProjectId | None:
    """Return the project that an app without a session is told under; None where a session does own the app."""
    session = names.session_of_app(suspect.app)
    tagged = names.project_id(suspect.project or "")
    known = world.sessions.project_of(session) if session is not None else None
    for project in (known, tagged):
        stored = world.sessions.session(project, session) if project and session else None
        if stored is not None and not is_orphan(stored.row):
            return None
    return known or tagged or names.NOBODYS


def _remove(world: World, stored: Stored[SuspectRow], project: ProjectId) -> str:
    """Decide, delete, tell: in this order and each written down, so that a removal that dies halfway is told once."""
    decided = msgspec.structs.replace(stored.row, removed_at=stored.row.removed_at or world.now(), project=project)
    if not world.sessions.tables.commit("seen", SUSPECTS, [Update(stored.key, decided, stored.etag)]):
        return "unknown"
    if isinstance(world.apps.delete(decided.app), Later):
        return "unknown"
    _tell(world, decided)
    log.warning("orphan.removed app=%s project=%s", decided.app, project)
    return "removed"


def _tell(world: World, suspect: SuspectRow) -> None:
    """Tell of a removal, under a name that is the app's: told twice it is the same event (I13)."""
    if suspect.told or suspect.removed_at is None:
        return
    facts: dict[str, object] = {"what": Found.ORPHAN, "app": suspect.app}
    if suspect.created_at is not None:
        facts["appCreatedAt"] = suspect.created_at.isoformat()
    if (session := names.session_of_app(suspect.app)) is not None:
        facts["session"] = session
    entry = outbox_entry(
        EventType.ORPHAN_REMOVED,
        f"containerApps/{suspect.app}",
        facts,
        CONTROL_PLANE,
        suspect.removed_at,
        op=sha256(suspect.app.encode()).hexdigest()[:16],
    )
    tables = world.sessions.tables
    tables.commit(CORE, suspect.project or names.NOBODYS, [entry])
    if (stored := tables.read("seen", SUSPECTS, suspect.app.lower(), SuspectRow)) is not None:
        tables.commit(
            "seen", SUSPECTS, [Update(stored.key, msgspec.structs.replace(stored.row, told=True), stored.etag)]
        )


def _cleared(world: World, stored: Stored[SuspectRow]) -> str:
    if stored.row.removed_at is not None and not stored.row.told:
        _tell(world, stored.row)
        stored = world.sessions.tables.read("seen", SUSPECTS, stored.key, SuspectRow) or stored
    world.sessions.tables.commit("seen", SUSPECTS, [Delete(stored.key, stored.etag)])
    return "cleared"
