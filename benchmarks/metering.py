"""Metering against the truth: sessions of a simulated month, each billed second held against when its replica lived.

`python -m benchmarks metering [--small]`: the real API, steps and story on the real engine and a virtual clock, over
an Azure that notes when each replica began and when it was truly gone. The exit code is 1 where a session is billed
more than one observation beside the truth, or a sum is not that of its parts to the last digit.
"""

from __future__ import annotations

import asyncio
import heapq
import random
import tempfile
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

from benchmarks.table import percentile, show
from shared.domain import names
from shared.domain.billing import cost_so_far, seconds_so_far
from shared.domain.names import ProjectId
from shared.domain.records import SessionRow
from shared.ports.container_apps import Accepted, Gone, Later
from tests.control_plane.fakes import FakeAzure
from tests.control_plane.plane import Plane, plane
from tests.control_plane.surroundings import START

MONTH = timedelta(days=30)
PEOPLE = ("alice", "bob", "carol")
SECOND = timedelta(seconds=1)


@dataclass(slots=True)
class WatchedAzure(FakeAzure):
    """Notes of each app when it was truly gone, and when it was last seen to be there."""

    gone_at: dict[str, datetime] = field(default_factory=dict)
    last_seen: dict[str, datetime] = field(default_factory=dict)

    def delete(self, app: str) -> Accepted | Gone | Later:
        answer = super(WatchedAzure, self).delete(app)
        if app in self.apps and (gone_at := self.apps[app].deleting_until) is not None:
            self.gone_at[app], self.last_seen[app] = gone_at, self.now()
        return answer

    def surely_gone(self, app: str, environment_id: str) -> bool:
        gone = super(WatchedAzure, self).surely_gone(app, environment_id)
        if not gone:
            self.last_seen[app] = self.now()
        return gone


@dataclass(frozen=True, slots=True)
class Billed:
    """One session: its seconds as billed and in truth, and how long nobody looked around its end."""

    billed_s: int
    truth_s: float
    unobserved_s: float

    @property
    def is_right(self) -> bool:
        """Whether the difference is at most the one observation, and the second that has begun."""
        return 0 <= self.billed_s - self.truth_s <= self.unobserved_s + 1


def run(*, small: bool) -> None:
    count = 20 if small else 1000
    began_s = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="devboxgpu-bench-") as name:
        billed, sums = asyncio.run(play(Path(name), count, MONTH / (1000 / count)))
    over = [one.billed_s - one.truth_s for one in billed]
    show(
        f"Sessions metered against the truth ({time.perf_counter() - began_s:.0f} s)",
        ["sessions", "billed s", "truth s", "over, median s", "over, most s", "within one observation"],
        [
            [
                len(billed),
                sum(one.billed_s for one in billed),
                f"{sum(one.truth_s for one in billed):.3f}",
                f"{percentile(over, 50):.3f}",
                f"{max(over):.3f}",
                sum(one.is_right for one in billed),
            ]
        ],
    )
    show("Sums to the last digit", ["of", "seconds", "cost in USD"], [[of, *told] for of, told in sums.items()])
    if len(billed) != count or not all(one.is_right for one in billed) or len(set(sums.values())) != 1:
        raise SystemExit("what is billed is not what ran")


async def play(folder: Path, count: int, lasts: timedelta) -> tuple[list[Billed], dict[str, tuple[int, Decimal]]]:
    """Let so many sessions come and go; return each beside the truth, and the same sum from three sides."""
    async with plane(folder, DEVBOXGPU_LEASE_SECONDS="3600") as one:
        azure = watched(one)
        await one.enable(cap=500, per_user=500, idle={"timeoutMinutes": 10_080})
        one.keeps_house_every_s = 1800.0
        await come_and_go(one, count, lasts)
        one.check_nothing_left()
        rows = every_session(one)
        return [beside_truth(row, azure) for row in rows], await sums_of(one, rows)


def every_session(one: Plane) -> list[SessionRow]:
    """Return the sessions that live and those that sweeps have moved to the history."""
    days = [START + timedelta(days=number) for number in range((one.clock.now() - START).days + 2)]
    months = dict.fromkeys(names.history_partition(ProjectId("demo"), day) for day in days)
    past = [stored.row for month in months for stored in one.tables.scan("history", month, ("", "~"), SessionRow)]
    live = one.tables.rows("core", "s-", SessionRow)
    return list({row.session: row for row in (*past, *live)}.values())


def watched(one: Plane) -> WatchedAzure:
    azure = WatchedAzure(now=one.clock.now)
    object.__setattr__(one.world, "apps", azure)
    one.azure = azure
    return azure


async def come_and_go(one: Plane, count: int, lasts: timedelta) -> None:
    """Open and close shells at times drawn from a seed; one in ten is left to its lease. Ends on any day and second."""
    draw = random.Random(2026)
    due: list[tuple[datetime, int, str]] = [(START + lasts * draw.random(), number, "open") for number in range(count)]
    heapq.heapify(due)
    while due:
        at, number, what = heapq.heappop(due)
        await one.run_for(max(0.0, (at - one.clock.now()).total_seconds()))
        who, shell = PEOPLE[number % len(PEOPLE)], f"shell-{number:06d}"
        if what == "close":
            await one.call(who, "CloseShell", shell=shell)
            continue
        one.azure.delete_takes = timedelta(seconds=draw.uniform(1, 90))
        await one.open(who, shell)
        if draw.random() < 0.9:
            heapq.heappush(due, (at + timedelta(seconds=draw.uniform(40, 3500)), number, "close"))
    await one.run_for(2 * 3600)


def beside_truth(row: SessionRow, azure: WatchedAzure) -> Billed:
    app = f"dbg-{row.session}"
    (began,) = (begun for name, begun, _ in azure.history if name == app)
    assert row.ended_at is not None
    return Billed(
        billed_s=seconds_so_far(row, row.ended_at),
        truth_s=(azure.gone_at[app] - began) / SECOND,
        unobserved_s=(row.ended_at - azure.last_seen[app]) / SECOND,
    )


async def sums_of(one: Plane, rows: list[SessionRow]) -> dict[str, tuple[int, Decimal]]:
    now = one.clock.now().astimezone(UTC)
    query = {"from": f"{START:%Y-%m-%d}", "to": f"{now:%Y-%m-%d}", "groupBy": "session,user,region"}
    status, told, _ = await one.call("carol", "GetUsage", query=query)
    assert status == 200, told
    costs = [cost for row in rows if (cost := cost_so_far(row, now)) is not None]
    return {
        "sessions": (sum(seconds_so_far(row, now) for row in rows), sum(costs, Decimal(0))),
        "lines of GetUsage": (
            sum(line["seconds"] for line in told["value"]),
            sum((Decimal(line["cost"]) for line in told["value"]), Decimal(0)),
        ),
        "totals of GetUsage": (told["totals"]["seconds"], Decimal(told["totals"]["cost"])),
    }
