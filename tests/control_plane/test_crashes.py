"""Whatever write is lost, and whatever the engine loses, nothing stays behind and every session ends."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec
import pytest

from activities.handover import adopt
from activities.provisioning import create
from activities.turn import Turn
from shared.domain.driving import Order
from shared.domain.records import OutboxRow, SessionRow
from shared.domain.states import EndReason, SessionState
from shared.ports.container_apps import Gone
from shared.ports.sessions import SessionView
from shared.ports.tables import Stored
from tests.control_plane.plane import Plane, plane

WRITES_OF_A_LIFE = 33


async def whole_life(one: Plane) -> None:
    """Open, run, close; whoever is refused on the way by a crash asks again, as a client does."""
    await insist(one, "OpenShell", shell="shell-one")
    await one.run_for(40)
    await insist(one, "CloseShell", shell="shell-one")
    await one.run_for(120)


async def insist(one: Plane, name: str, **parts: str) -> None:
    for _ in range(5):
        status, answer, _ = await one.call("alice", name, **parts)
        if status < 500:
            assert status in (200, 201, 202, 204), answer
            return
        await one.run_for(1)
    raise AssertionError(f"{name} kept failing")


async def writes_of_a_life(folder: Path) -> int:
    async with plane(folder) as one:
        begun = one.tables.commits
        await whole_life(one)
        return one.tables.commits - begun


def test_the_number_of_writes_that_are_crashed_covers_a_whole_life(tmp_path):
    assert asyncio.run(writes_of_a_life(tmp_path)) <= WRITES_OF_A_LIFE


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("write", range(1, WRITES_OF_A_LIFE + 1))
def test_a_crash_at_any_write_leaves_nothing_behind(tmp_path, write, when):
    async def run() -> None:
        async with plane(tmp_path) as one:
            one.tables.crash_at = (one.tables.commits + write, when)
            await whole_life(one)
            one.check_nothing_left()
            ended = one.tables.rows("core", "s-", SessionRow)
            assert [row.end_reason for row in ended] == [EndReason.SHELLS_CLOSED]
            assert len(one.azure.history) == 1

    asyncio.run(run())


@pytest.mark.parametrize("episode", range(12))
def test_an_orchestration_that_fails_in_any_episode_is_replaced(tmp_path, episode):
    async def run() -> None:
        async with plane(tmp_path) as one:
            await one.engine.change_faults({"failEpisodes": {"count": 1, "skip": episode}})
            await whole_life(one)
            one.check_nothing_left()
            replaced = [row for row in one.tables.rows("audit", "o-", OutboxRow) if "DriverReplaced" in row.event_type]
            struck = one.engine.faults.struck.get("failEpisodes", 0)
            assert len(replaced) == struck

    asyncio.run(run())


@pytest.mark.parametrize("activity", range(8))
def test_an_activity_that_is_lost_with_its_worker_is_called_again(tmp_path, activity):
    async def run() -> None:
        async with plane(tmp_path) as one:
            await one.engine.change_faults({"failActivities": {"count": 2, "skip": activity}})
            await whole_life(one)
            one.check_nothing_left()
            assert len(one.azure.history) == 1

    asyncio.run(run())


def test_a_start_that_the_engine_never_saw_is_made_up_for(tmp_path):
    async def run() -> None:
        async with plane(tmp_path) as one:
            one.drivers.lose_starts = 1
            view = await one.open()
            await one.run_for(60)
            row = one.session(view["session"])
            assert (row.state, row.epoch) == (SessionState.RUNNING, 2)

    asyncio.run(run())


def test_two_drivers_at_once_make_one_app_and_the_older_one_is_refused(tmp_path):
    async def run() -> None:
        async with plane(tmp_path) as one:
            view = await one.opened()
            row = one.session(view["session"])
            adopted = await asyncio.gather(
                *(adopt(one.world, one.drivers, row.project, row.session, 1) for _ in range(3))
            )
            assert sorted(adopted) == [False, False, True]
            await one.run_for(20)
            await one.call("alice", "CloseShell", shell="shell-one")
            await one.run_for(1200)
            one.check_nothing_left()
            assert len(one.azure.history) == 1
            old = one.engine.executions.row(f"{row.session}-1")
            assert old is not None
            assert old.status.is_final

    asyncio.run(run())


def test_storage_that_is_away_for_half_a_minute_delays_and_loses_nothing(tmp_path):
    async def run() -> None:
        async with plane(tmp_path) as one:
            await one.opened()
            await one.call("alice", "CloseShell", shell="shell-one")
            one.tables.away = True
            one.keeps_house_every_s = 1000.0
            await one.run_for(30)
            one.tables.away = False
            one.keeps_house_every_s = 5.0
            await one.run_for(200)
            one.check_nothing_left()

    asyncio.run(run())


def test_an_app_that_a_late_worker_creates_after_the_end_is_deleted_by_that_worker(tmp_path):
    """The create step looks again after its PUT: a call that was held up for minutes must not leave a GPU behind."""

    async def run() -> None:
        async with plane(tmp_path) as one:
            view = await one.open()
            await one.settle()
            held_up = one.session(view["session"])
            late = Turn(
                world=one.world,
                order=Order(project=held_up.project, session=held_up.session, epoch=1, round=2, wake="wake-1-0"),
                view=SessionView(Stored("s", msgspec.structs.replace(held_up, app_put_at=None), "old"), []),
                now=one.clock.now(),
            )
            await one.call("alice", "CloseShell", shell="shell-one")
            await one.run_for(60)
            one.check_nothing_left()

            create(late)

            await one.run_for(10)
            assert one.azure.look(f"dbg-{view['session']}") == Gone()

    asyncio.run(run())
