"""What a sweep costs: storage transactions, calls of Azure and of the engine, seconds and memory, by size.

`python -m benchmarks sweep_cost [--small]`: the sweep's own steps over rows in Azurite; Azure and the engine are
counted and answer at once. Every session runs and has its app and its driver: the sweep finds nothing, as mostly.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
import tracemalloc
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from activities.surveying import survey_apps
from activities.sweep_lease import begin_sweep, finish_sweep
from activities.sweeping import sweep_project
from benchmarks.counted_tables import Counted
from benchmarks.table import show
from localcloud.stack import LocalCloud
from shared.domain import names
from shared.domain.names import ProjectId, SessionId, UserId, app_name
from shared.domain.pricing import GpuType
from shared.domain.records import LedgerRow, SessionRow
from shared.domain.states import SessionState
from shared.domain.sweeping import ListedApp
from shared.ports import ids
from shared.ports.azure_tables import connect
from shared.ports.container_apps import AppPage
from shared.ports.drivers import Drivers, DriverState
from shared.ports.event_topic import NoTopic
from shared.ports.sessions import Sessions
from shared.ports.tables import Insert, Tables, by_transaction
from shared.ports.world import World

NOW = datetime(2026, 11, 21, 9, tzinfo=UTC)
APPS_A_PAGE = 100
SIZES = ((1, 100), (10, 1000), (100, 10_000))
SMALL = ((1, 20), (4, 80))


class Engine:
    """An engine in which every driver lives."""

    def __init__(self) -> None:
        self.asked = 0

    async def state(self, _: object) -> DriverState:
        self.asked += 1
        return DriverState.ALIVE


class Azure:
    """A list of apps, a hundred a page."""

    def __init__(self, sessions: list[SessionRow]) -> None:
        self._apps = [
            ListedApp(name=app_name(row.session), project=row.project, created_at=NOW, deleting=False)
            for row in sessions
        ]
        self.pages = 0

    def list_apps(self, _: str, page: str | None = None) -> AppPage:
        self.pages += 1
        first = int(page or 0)
        more = str(first + APPS_A_PAGE) if first + APPS_A_PAGE < len(self._apps) else None
        return AppPage(self._apps[first : first + APPS_A_PAGE], more)


def run(*, small: bool) -> None:
    rows = []
    with tempfile.TemporaryDirectory(prefix="devboxgpu-bench-") as name:
        cloud = LocalCloud(Path(name), with_host=False)
        cloud.up()
        try:
            tables = connect(connection=cloud.endpoints["tables"], endpoint=None, credential=None)
            tables.create_tables()
            before = 0
            for projects, sessions in SMALL if small else SIZES:
                fill(tables, range(before, projects), sessions // projects)
                before = projects
                everything = [stored.row for _, stored in tables.scan_all("core", names.SESSIONS, SessionRow)]
                rows.append(asyncio.run(measured(tables, everything, projects)))
        finally:
            cloud.down()
    heads = ["projects", "sessions", "tables", "a project", "engine", "ARM pages", "seconds", "longest", "peak MiB"]
    show("One sweep in which nothing is wrong", heads, rows)


def fill(tables: Tables, projects: range, sessions: int) -> None:
    """Write the ledgers and the running sessions of these projects."""
    for number in projects:
        project = ProjectId(f"project-{number:03d}")
        ledger = LedgerRow(
            project=project, revision=1, by_type={GpuType.T4: sessions}, by_user={"u": sessions}, shares_at=NOW
        )
        tables.commit("core", project, [Insert(names.LEDGER_KEY, ledger)])
        rows = [running(project, ids.new_session_id()) for _ in range(sessions)]
        for batch in by_transaction(rows):
            tables.commit("core", project, [Insert(names.session_key(row.session), row) for row in batch])


def running(project: ProjectId, session: SessionId) -> SessionRow:
    return SessionRow(
        project=project,
        session=session,
        user=UserId("u"),
        state=SessionState.RUNNING,
        gpu_type=GpuType.T4,
        image="image",
        regions=["westus3"],
        created_at=NOW,
        shells=[],
        idle_timeout_s=3600.0,
        max_lifetime_s=36_000.0,
        holds=1,
        held_from=NOW,
        booked_at=NOW,
        app_put_at=NOW,
        next_look_at=NOW + timedelta(minutes=15),
    )


async def measured(tables: Tables, sessions: list[SessionRow], projects: int) -> list[object]:
    """Sweep once, in the order that the story calls the steps; return a row of figures."""
    counted, engine, azure = Counted(tables), Engine(), Azure(sessions)
    world = cast(World, a_world(cast(Tables, counted), azure, NOW + timedelta(minutes=1) + timedelta(hours=projects)))
    steps: list[float] = []
    begun_s = time.perf_counter()
    begun = timed(steps, lambda: begin_sweep({"slot": 10_000_000 + projects}, world))
    survey(steps, world, begun["startedAt"])
    base = counted.done.total()
    for project in begun["projects"]:
        await sweep_one(steps, world, engine, project)
    of_projects = counted.done.total() - base
    timed(steps, lambda: finish_sweep({"slot": 10_000_000 + projects, "found": 0}, world))
    took_s, transactions, pages = time.perf_counter() - begun_s, counted.done.total(), azure.pages
    asked = engine.asked
    peak = await most_memory(world, engine, begun)
    return [
        projects,
        len(sessions),
        transactions,
        round(of_projects / projects, 2),
        asked,
        pages,
        round(took_s, 1),
        round(max(steps), 2),
        round(peak / 2**20, 1),
    ]


async def most_memory(world: World, engine: Engine, begun: dict[str, Any]) -> int:
    """Return the bytes that the survey and a project's sweep need at most, in a run of their own: counting is slow."""
    tracemalloc.start()
    survey([], world, begun["startedAt"])
    await sweep_one([], world, engine, begun["projects"][0])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


async def sweep_one(steps: list[float], world: World, engine: Engine, project: str) -> None:
    after: str | None = ""
    while after is not None:
        begun_s = time.perf_counter()
        order = {"project": project, "after": after, "estimates": False}
        seen = await sweep_project(order, world, cast(Drivers, engine))
        steps.append(time.perf_counter() - begun_s)
        after = seen["after"]
        if seen["found"]:
            raise SystemExit(f"the sweep found something wrong in {project}: {seen}")


def survey(steps: list[float], world: World, started_at: str) -> None:
    page: str | None = ""
    part = 0
    while page is not None:
        order = {"startedAt": started_at, "part": part, "page": page or None}
        page = timed(steps, partial(survey_apps, order, world))["page"]
        part += 1


def timed(steps: list[float], step: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    begun_s = time.perf_counter()
    told = step()
    steps.append(time.perf_counter() - begun_s)
    return told


def a_world(tables: Tables, azure: Azure, now: datetime) -> object:
    """Return as much of a world as the sweep's steps ask for."""
    settings = SimpleNamespace(
        platform_name="bench",
        sweep_every=timedelta(minutes=5),
        orphan_grace=timedelta(seconds=30),
        retention=timedelta(hours=24),
        event_lifetime=timedelta(hours=24),
        driver_grace=timedelta(days=36_500),
    )
    return SimpleNamespace(
        settings=settings,
        sessions=Sessions(tables, lambda: now),
        apps=azure,
        topic=NoTopic(),
        now=lambda: now,
    )
