"""A sweep of one project on request: everything that the timer's sweep does for it, at once, and told in words."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from activities.orphans import look_again, note_suspect, suspect_of
from activities.surveying import list_for_a_while, tell_of_missing_app
from activities.sweeping import Look, sweep_books, sweep_sessions
from shared.domain import names
from shared.domain.names import ProjectId
from shared.domain.sweep_records import SUSPECTS, GlanceRow, SuspectRow
from shared.domain.sweeping import Finding, Found, ListedApp, unowned, without_app
from shared.ports.container_apps import ArmUnknown
from shared.ports.drivers import Drivers
from shared.ports.sessions import CORE
from shared.ports.tables import StorageUnavailable
from shared.ports.world import World

T = TypeVar("T")
LISTING_S = 20.0
"""How long the request goes on listing apps: what a caller may be kept waiting for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a sweep has found. `unknown`: what could not be asked, of which nothing follows."""

    project: ProjectId
    started_at: datetime
    dry_run: bool
    apps: int
    sessions: int
    found: list[Finding]
    unknown: list[str]


async def sweep_now(world: World, drivers: Drivers, project: ProjectId, *, dry_run: bool) -> Report:
    """Sweep one project. An app that nobody owns is noted now and deleted by a later look (`repaired` says which)."""
    look = Look(world=world, drivers=drivers, project=project, dry_run=dry_run)
    started_at, unknown = world.now(), list[str]()
    apps = await _known(lambda: asyncio.to_thread(_apps_of, world, project), "Azure's list of apps", unknown)
    rows = await _known(lambda: asyncio.to_thread(_rows_of, world, project), "the sessions' rows", unknown)
    if apps is not None and rows is not None:
        await _known(lambda: _compare(look, apps, rows, started_at), "the apps", unknown)
    await _known(lambda: _sweep_rows(look), "the project's rows", unknown)
    return Report(
        project=project,
        started_at=started_at,
        dry_run=dry_run,
        apps=len(apps or ()),
        sessions=len(rows or ()),
        found=look.found,
        unknown=unknown,
    )


async def _known(ask: Callable[[], Awaitable[T]], what: str, unknown: list[str]) -> T | None:
    """Return the answer, None where there is none now: then what could not be known is noted."""
    try:
        return await ask()
    except (ArmUnknown, StorageUnavailable) as trouble:
        unknown.append(f"{what}: {trouble}")
        return None


def _apps_of(world: World, project: ProjectId) -> list[ListedApp]:
    apps, left = list_for_a_while(world, None, LISTING_S)
    if left is not None:
        raise ArmUnknown(f"not all pages came within {LISTING_S:.0f} seconds")
    return [app for app in apps if names.project_id(app.project or "") == project]


def _rows_of(world: World, project: ProjectId) -> list[GlanceRow]:
    found = world.sessions.tables.scan(CORE, project, names.SESSIONS, GlanceRow)
    return [stored.row for stored in found if not stored.row.settled]


async def _compare(look: Look, apps: list[ListedApp], rows: list[GlanceRow], listed_at: datetime) -> None:
    """Hold Azure's apps against the rows: suspects get their first or second look, missing ones are looked for."""
    for app in unowned(apps, rows):
        seen = "" if look.dry_run else await asyncio.to_thread(_look_at_suspect, look.world, suspect_of(app, listed_at))
        detail = f"an app of this control plane without a session, created {app.created_at or 'at an unknown time'}"
        look.note(Found.ORPHAN, f"containerApps/{app.name}", detail, repaired=seen == "removed")
    listed = [found for app in apps if (found := names.session_of_app(app.name)) is not None]
    for row in without_app(rows, listed, listed_at):
        woken = not look.dry_run and await tell_of_missing_app(look.world, look.drivers, look.project, row.session)
        detail = f"the session is {row.state} and Azure does not list its app"
        look.note(Found.APP_MISSING, f"sessions/{row.session}", detail, repaired=woken)


def _look_at_suspect(world: World, suspect: SuspectRow) -> str:
    note_suspect(world, suspect)
    stored = world.sessions.tables.read("seen", SUSPECTS, suspect.app.lower(), SuspectRow)
    return look_again(world, stored) if stored is not None else "cleared"


async def _sweep_rows(look: Look) -> None:
    after: str | None = ""
    while after is not None:
        after = await sweep_sessions(look, after, estimates=True)
    await sweep_books(look)
