"""What an hour of a session that nobody uses costs: storage transactions and executions of functions.

`python -m benchmarks idle_hour [--small]`: the real API, steps and story on the real engine and a virtual clock, with
our own rows in Azurite; the Durable part is what the engine books for each step (durable-measured.md 2). The same
hour without a session is the app's own, and is taken off. Each shell is renewed when the server says; it idles.
"""

from __future__ import annotations

import asyncio
import tempfile
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import cast

from benchmarks.counted_tables import Counted
from benchmarks.table import show
from localcloud.durable.bill import bill_view
from localcloud.stack import LocalCloud
from shared.ports.azure_tables import connect
from tests.control_plane.fakes import MemoryTables
from tests.control_plane.plane import Plane, plane

HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
APART = timedelta(seconds=37)
"""Between the openings: sessions share nothing but the app."""
GRACE_MINUTES = 10
AIM = 150


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What some time cost: our own transactions, those that the vendor's engine would make, functions executed."""

    rows: int
    durable: int
    executions: int

    def less(self, other: Cost) -> Cost:
        return Cost(
            rows=self.rows - other.rows,
            durable=self.durable - other.durable,
            executions=self.executions - other.executions,
        )


def run(*, small: bool) -> None:
    sessions, lasts = (1, MINUTE) if small else (10, HOUR)
    alone, held = measured(0, lasts), measured(sessions, lasts)
    more = held.less(alone)
    hours = sessions * (lasts / HOUR)
    show(
        f"{lasts / HOUR:.2f} idle hours of {sessions} sessions with a shell each (aim: {AIM} an hour of one)",
        ["of", "own transactions", "Durable's", "both", "executions"],
        [
            ["the app alone", alone.rows, alone.durable, alone.rows + alone.durable, alone.executions],
            [f"with {sessions} sessions", held.rows, held.durable, held.rows + held.durable, held.executions],
            ["an hour of one", *(round(n / hours, 1) for n in (more.rows, more.durable, more.rows + more.durable)),
             round(more.executions / hours, 1)],
        ],
    )  # fmt: skip


def measured(sessions: int, lasts: timedelta) -> Cost:
    """Return what so many unused sessions cost in this time, over an Azurite of their own."""
    with tempfile.TemporaryDirectory(prefix="devboxgpu-bench-") as name:
        cloud = LocalCloud(Path(name) / "cloud", with_host=False)
        cloud.up()
        try:
            tables = connect(connection=cloud.endpoints["tables"], endpoint=None, credential=None)
            tables.create_tables()
            return asyncio.run(idle(Path(name), Counted(tables), sessions, lasts))
        finally:
            cloud.down()


async def idle(folder: Path, counted: Counted, sessions: int, lasts: timedelta) -> Cost:
    """Let so many sessions run unused for a while; return what that while cost."""
    async with plane(folder) as one:
        one.over(cast("MemoryTables", counted))
        one.sweeps = True
        await one.enable(
            cap=max(1, sessions),
            per_user=max(1, sessions),
            idle={"graceMinutes": GRACE_MINUTES, "timeoutMinutes": 600},
        )
        shells = [f"shell-{number:06d}" for number in range(sessions)]
        for number, shell in enumerate(shells, start=1):
            await one.open(shell=shell)
            await renewed(one, shells[:number], APART)
        await renewed(one, shells, timedelta(minutes=2))
        before = spent(one, counted)
        await renewed(one, shells, lasts)
        return spent(one, counted).less(before)


async def renewed(one: Plane, shells: list[str], lasts: timedelta) -> None:
    """Let time pass; every shell renews its lease when it was told to."""
    end = one.clock.now() + lasts
    due = dict.fromkeys(shells, one.clock.now())
    while one.clock.now() < end:
        for shell in [shell for shell, at in due.items() if at <= one.clock.now()]:
            status, answer, _ = await one.call("alice", "RenewLease", {"activeSecondsAgo": 600}, shell=shell)
            assert status == 200, answer
            due[shell] = one.clock.now() + timedelta(seconds=answer["renewAfterSeconds"])
        upcoming = min([end, one.clock.now() + MINUTE, *due.values()])
        await one.run_for((upcoming - one.clock.now()).total_seconds())


def spent(one: Plane, counted: Counted) -> Cost:
    lines = [*one.engine.journal.bill(), *one.engine.reads.lines()]
    return Cost(
        rows=sum(counted.done.values()),
        durable=bill_view(lines, None)["total"]["all"],
        executions=one.executed,
    )
