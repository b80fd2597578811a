"""Taking stock of Azure: all our apps by tag, page by page, held against the rows. Nothing is repaired here.

What one step finds counts only when all have been through: a list that breaks off is no list.
"""

from __future__ import annotations

import logging
from datetime import datetime
from typing import Any

import msgspec

from activities.orphans import suspect_of
from activities.waking import raise_wake
from shared.domain import names
from shared.domain.events import EventType
from shared.domain.names import ProjectId, SessionId
from shared.domain.records import SessionRow
from shared.domain.states import COUNTED
from shared.domain.sweep_records import GlanceRow, ListedRow, SuspectRow, listed_partition
from shared.domain.sweeping import Found, ListedApp, unowned, without_app
from shared.ports.clock import elapsed_s
from shared.ports.container_apps import ArmUnknown
from shared.ports.drivers import Drivers
from shared.ports.outgoing import CONTROL_PLANE, new_wake, outbox
from shared.ports.sessions import CORE, session_update
from shared.ports.tables import Change, Insert
from shared.ports.world import World

log = logging.getLogger("devboxgpu.sweep")

LISTING_S = 4.0
"""How long one step goes on asking for pages: with the last page, and with the rows, it stays under ten seconds."""
SESSIONS_A_ROW = 1000
MOST_SUSPECTS = 100
MOST_MISSING = 100
"""What one sweep takes on of each: more than that is no accident of single apps, and the next sweep does the rest."""


def survey_apps(wire: dict[str, Any], world: World) -> dict[str, Any]:
    """List apps for a while, from `page` on. Return the `page` to go on with and what seems wrong so far.

    `known` False: Azure did not answer, and the whole survey is void. The last step also says whose app is missing.
    """
    began_at, part = datetime.fromisoformat(wire["startedAt"]), int(wire["part"])
    try:
        apps, page = list_for_a_while(world, wire["page"])
    except ArmUnknown as unknown:
        log.warning("sweep.list_unknown part=%d why=%s", part, unknown)
        return {"known": False}
    glance = world.sessions.tables.scan_all(CORE, names.SESSIONS, GlanceRow, where=("settled", False))
    rows = [stored.row for _, stored in glance]  # read after the apps: whoever has one had a row before it
    suspects = [suspect_of(app, world.now()) for app in unowned(apps, rows)]
    _note_listed(world, began_at, part, apps)
    missing = [] if page is not None else without_app(rows, _listed(world, began_at), began_at)
    return {
        "known": True,
        "page": page,
        "apps": len(apps),
        "suspects": [told(suspect) for suspect in suspects[:MOST_SUSPECTS]],
        "missing": [{"project": row.project, "session": row.session} for row in missing[:MOST_MISSING]],
    }


def told(suspect: SuspectRow) -> dict[str, Any]:
    """Return a suspect as one step tells the next of it."""
    wire: dict[str, Any] = msgspec.to_builtins(suspect)
    return {name: value for name, value in wire.items() if value is not None}


def list_for_a_while(
    world: World, page: str | None, patience_s: float = LISTING_S
) -> tuple[list[ListedApp], str | None]:
    """Return our apps from this page on, and the page that is next when time is up. Raise ArmUnknown."""
    apps: list[ListedApp] = []
    until_s = elapsed_s() + patience_s
    while True:
        found = world.apps.list_apps(world.settings.platform_name, page)
        apps += found.apps
        page = found.next_page
        if page is None or elapsed_s() > until_s:
            return apps, page


def _note_listed(world: World, began_at: datetime, part: int, apps: list[ListedApp]) -> None:
    sessions = [found for app in apps if (found := names.session_of_app(app.name)) is not None]
    for number, start in enumerate(range(0, len(sessions), SESSIONS_A_ROW)):
        row = ListedRow(sessions=sessions[start : start + SESSIONS_A_ROW])
        key = f"{_survey(began_at)}-{part:04d}-{number:04d}"
        world.sessions.tables.commit("seen", listed_partition(began_at), [Insert(key, row)])


def _listed(world: World, began_at: datetime) -> list[SessionId]:
    survey = _survey(began_at)
    rows = world.sessions.tables.scan("seen", listed_partition(began_at), (f"{survey}-", f"{survey}."), ListedRow)
    return [session for stored in rows for session in stored.row.sessions]


def _survey(began_at: datetime) -> str:
    return f"{int(began_at.timestamp() * 1000)}"


async def wake_for_missing_apps(wire: dict[str, Any], world: World, drivers: Drivers) -> dict[str, Any]:
    """Have the drivers of these sessions look for their apps, which Azure does not list: they decide, not the list."""
    woken = [
        await tell_of_missing_app(world, drivers, ProjectId(told["project"]), SessionId(told["session"]))
        for told in wire["missing"]
    ]
    return {"found": woken.count(True)}


async def tell_of_missing_app(world: World, drivers: Drivers, project: ProjectId, session: SessionId) -> bool:
    """Put a wake-up into the session's row, with its audit entry, and raise it; False where it has moved on."""
    row = note_missing_app(world, project, session)
    if row is not None:
        await raise_wake(world, drivers, row)
    return row is not None


def note_missing_app(world: World, project: ProjectId, session: SessionId) -> SessionRow | None:
    stored, now = world.sessions.session(project, session), world.now()
    if stored is None or stored.row.state not in COUNTED or stored.row.wakes:
        return None
    row = msgspec.structs.replace(stored.row, wakes=stored.row.wakes + 1)
    changes: list[Change] = [
        session_update(stored, row),
        new_wake(session, "app missing", now),
        outbox(EventType.SWEEP_REPAIRED, row, CONTROL_PLANE, now, {"what": Found.APP_MISSING}),
    ]
    return row if world.sessions.commit(project, changes) else None
