"""Waiting in line on the engine: who waits gets the place that becomes free, at once, or leaves, and nothing stays."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from shared.domain.errors import ErrorCode
from shared.domain.records import SessionRow, WaitRow
from shared.domain.states import EndReason, SessionState
from tests.control_plane.fakes import USERS
from tests.control_plane.plane import Plane, plane

WAITING, RUNNING, ENDED = SessionState.WAITING, SessionState.RUNNING, SessionState.ENDED
SECONDS_TO_RUN = 30


async def wait_behind(one: Plane, *names: str, **body: object) -> list[str]:
    """Let alice have the project's only GPU, and these wait behind her; return their sessions, hers first."""
    one.entitlement.boxes |= {("demo", USERS[name]) for name in names}
    await one.enable(cap=1, per_user=1)
    sessions = [(await one.opened())["session"]]
    for name in names:
        view = await one.open(name, f"shell-of-{name}", wait=True, **body)
        assert view["state"] == WAITING
        sessions.append(view["session"])
        await one.run_for(1)
    return sessions


async def keep(one: Plane, seconds: float, *names: str) -> None:
    """Let time pass while alice, and those who are named, renew their leases."""
    for _ in range(round(seconds / 50)):
        await one.run_for(50)
        for name in ("alice", *names):
            await one.renew(name, "shell-one" if name == "alice" else f"shell-of-{name}")


async def place(one: Plane, name: str, session: str) -> dict:
    one.world.sessions._recent_books.clear()  # a moment of the machine's clock is no moment of ours
    status, operation, _ = await one.call(name, "GetOperation", operation=f"open-{session}")
    assert status == 200
    return operation


def watch_ends(one: Plane) -> list[dict[str, SessionState]]:
    """Return a list that the states of all sessions are added to right after each transaction that ends one."""
    seen: list[dict[str, SessionState]] = []
    commit = one.tables.commit

    def watched(table, partition, changes):
        done = commit(table, partition, changes)
        rows = [change.row for change in changes if isinstance(getattr(change, "row", None), SessionRow)]
        if done and table == "core" and any(row.state is ENDED and not row.settled for row in rows):
            seen.append({row.session: row.state for row in one.tables.rows("core", "s-", SessionRow)})
            one.check_invariants()
        return done

    one.tables.commit = watched
    return seen


def test_a_place_that_becomes_free_is_given_on_in_the_transaction_that_frees_it(played, tmp_path):
    async def story(one: Plane):
        first, second, third = await wait_behind(one, "bob", "carol")
        seen = watch_ends(one)
        await one.call("alice", "CloseShell", shell="shell-one")
        await one.run_for(30)
        assert seen[0] == {first: ENDED, second: SessionState.PROVISIONING, third: WAITING}
        await keep(one, 50, "bob", "carol")
        assert one.session(second).state is RUNNING
        assert one.session(third).state is WAITING

    played(tmp_path, story)


def test_who_is_promoted_begins_within_a_second_although_its_driver_slept(tmp_path):
    async def run() -> None:
        async with plane(tmp_path) as one:
            one.keeps_house_every_s = 1000.0
            _, second = await wait_behind(one, "bob")
            await one.call("alice", "CloseShell", shell="shell-one")
            await one.run_for(60)
            row = one.session(second)
            assert row.app_put_at - row.held_from <= timedelta(seconds=1)
            assert row.state is RUNNING

    asyncio.run(run())


def test_who_waits_is_told_its_place_and_how_long_it_may_take(played, tmp_path):
    async def story(one: Plane):
        await one.enable(cap=1, per_user=1)
        for number in range(3):  # so many lives, and the fourth can be foretold
            await one.opened("alice", f"shell-{number}-of-alice")
            await one.call("alice", "CloseShell", shell=f"shell-{number}-of-alice")
            await one.run_for(60)
        _, second, third = await wait_behind(one, "bob", "dave")
        nearer, further = await place(one, "bob", second), await place(one, "dave", third)
        assert (nearer["queuePosition"], further["queuePosition"]) == (1, 2)
        assert 0 < nearer["expectedWaitSeconds"] < further["expectedWaitSeconds"]
        assert nearer["status"] == "Running"
        await one.call("bob", "CloseShell", shell="shell-of-bob")
        await one.run_for(30)
        assert (await place(one, "dave", third))["queuePosition"] == 1

    played(tmp_path, story)


@pytest.mark.parametrize(
    ("leaves", "reason", "error"),
    [
        ("closes", EndReason.CANCELLED, None),
        ("stops", EndReason.STOPPED_BY_USER, None),
        ("is stopped", EndReason.STOPPED_BY_ADMINISTRATOR, None),
        ("is gone", EndReason.LEASE_LAPSED, None),
        ("waits too long", EndReason.WAIT_TIMED_OUT, ErrorCode.WAIT_TIMED_OUT),
    ],
)
def test_who_leaves_the_line_gives_its_place_in_it_on(played, tmp_path, leaves, reason, error):
    async def story(one: Plane):
        _, second, third = await wait_behind(one, "bob", "dave", waitTimeoutSeconds=400)
        await one.call("dave", "CloseShell", shell="shell-of-dave")
        patient = (await one.open("dave", "shell-two-of-dave", wait=True))["session"]
        if leaves == "closes":
            await one.call("bob", "CloseShell", shell="shell-of-bob")
        elif leaves in ("stops", "is stopped"):
            await one.call("bob" if leaves == "stops" else "carol", "StopSession", {}, session=second)
        for _ in range(10):
            await keep(one, 50, *(["bob"] if leaves == "waits too long" else []))
            await one.renew("dave", "shell-two-of-dave")
        row = one.session(second)
        assert (row.state, row.end_reason, row.error_code) == (ENDED, reason, error)
        assert one.session(third).end_reason is EndReason.CANCELLED
        assert [waiter.session for waiter in one.tables.rows("core", "w-", WaitRow)] == [patient]
        assert (await place(one, "dave", patient))["queuePosition"] == 1
        assert row.held_from is None

    played(tmp_path, story)


def test_a_client_that_went_away_just_before_its_turn_gives_the_gpu_on(played, tmp_path):
    async def story(one: Plane):
        _, second, third = await wait_behind(one, "bob", "carol")
        for _ in range(5):  # bob's lease has lapsed at 150 s, and its grace ends at 270 s
            await one.run_for(50)
            await one.renew("alice")
            await one.renew("carol", "shell-of-carol")
        await one.call("alice", "CloseShell", shell="shell-one")
        await keep(one, 200, "carol")
        assert one.session(second).end_reason is EndReason.LEASE_LAPSED
        assert one.session(third).state is RUNNING

    played(tmp_path, story)


def test_a_line_that_is_full_takes_nobody(played, tmp_path):
    async def story(one: Plane):
        await wait_behind(one, "bob", "dave")
        await one.enable(cap=1, per_user=1, line={"maxLength": 2})
        view = await one.open("carol", "shell-of-carol", wait=True)
        assert one.session(view["session"]).error_code is ErrorCode.LINE_FULL
        await one.enable(cap=1, per_user=1, line={"enabled": False})
        view = await one.open("carol", "shell-two-of-carol", wait=True)
        assert one.session(view["session"]).error_code is ErrorCode.PROJECT_CAP_REACHED

    played(tmp_path, story)


def test_a_user_at_the_own_limit_waits_and_blocks_nobody(played, tmp_path):
    async def story(one: Plane):
        await one.enable(cap=2, per_user=1)
        await one.opened("alice", "shell-one")
        mine = (await one.open("alice", "shell-two", wait=True))["session"]
        bob = await one.opened("bob", "shell-of-bob")
        theirs = (await one.open("carol", "shell-of-carol", wait=True))["session"]
        assert (await place(one, "alice", mine))["status"] == "Running"
        await one.call("bob", "CloseShell", shell="shell-of-bob")
        await one.run_for(60)
        assert one.session(bob["session"]).state is ENDED
        assert one.session(theirs).state is RUNNING
        assert one.session(mine).state is WAITING
        await one.call("alice", "CloseShell", shell="shell-one")
        await one.run_for(60)
        assert one.session(mine).state is RUNNING

    played(tmp_path, story)


def test_a_cap_that_is_raised_is_used_before_the_answer_is_given(played, tmp_path):
    async def story(one: Plane):
        _, second, third = await wait_behind(one, "bob", "carol")
        await one.enable(cap=2, per_user=1)
        assert one.session(second).state is SessionState.PROVISIONING
        assert one.session(third).state is WAITING
        await one.run_for(SECONDS_TO_RUN)
        assert one.session(second).state is RUNNING

    played(tmp_path, story)


def test_a_cap_that_is_lowered_below_the_use_stops_nobody_and_admits_nobody(played, tmp_path):
    async def story(one: Plane):
        await one.enable(cap=2, per_user=1)
        first = await one.opened("alice", "shell-one")
        second = await one.opened("bob", "shell-of-bob")
        third = (await one.open("carol", "shell-of-carol", wait=True))["session"]
        await one.enable(cap=1, per_user=1)
        await one.call("alice", "CloseShell", shell="shell-one")
        await keep(one, 100, "bob", "carol")
        states = [one.session(each).state for each in (first["session"], second["session"], third)]
        assert states == [ENDED, RUNNING, WAITING]

    played(tmp_path, story)


def test_a_project_that_is_disabled_ends_the_waiting_of_all(played, tmp_path):
    async def story(one: Plane):
        first, *waiting = await wait_behind(one, "bob", "carol")
        section = {"serverlessGpuSessionsMode": "Disabled", "maxConcurrentSessionsPerProject": 1}
        body = {"serverlessGpuSessionsSettings": section}
        await one.call("olga", "UpdateSettings", body, headers={"if-match": "*"})
        await one.run_for(60)
        assert [one.session(each).end_reason for each in waiting] == [EndReason.PROJECT_DISABLED] * 2
        assert one.session(waiting[0]).error_code is ErrorCode.GPU_DISABLED
        assert one.session(first).state is RUNNING

    played(tmp_path, story)


WRITES_OF_A_TURN = 70


async def a_turn_of_each(one: Plane) -> None:
    """Alice has the GPU, bob waits, she closes, he runs and closes; whoever is refused by a crash asks again."""
    for name, operation, seconds in (
        ("alice", "OpenShell", 0),
        ("bob", "OpenShell", 40),
        ("alice", "CloseShell", 60),
        ("bob", "CloseShell", 150),
    ):
        body = {"wait": True} if operation == "OpenShell" else None
        for _ in range(5):
            status, answer, _ = await one.call(name, operation, body, shell=f"shell-of-{name}")
            if status < 500:
                break
            await one.run_for(1)
        assert status < 300, answer
        await one.run_for(seconds)


def test_the_number_of_writes_that_are_crashed_covers_a_turn_of_each(tmp_path):
    async def run() -> int:
        async with plane(tmp_path) as one:
            await one.enable(cap=1, per_user=1)
            begun = one.tables.commits
            await a_turn_of_each(one)
            return one.tables.commits - begun

    assert asyncio.run(run()) <= WRITES_OF_A_TURN


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("write", range(1, WRITES_OF_A_TURN + 1))
def test_a_crash_at_any_write_of_the_line_leaves_nobody_unserved(tmp_path, write, when):
    async def run() -> None:
        async with plane(tmp_path) as one:
            await one.enable(cap=1, per_user=1)
            one.tables.crash_at = (one.tables.commits + write, when)
            await a_turn_of_each(one)
            one.check_nothing_left()
            ended = one.tables.rows("core", "s-", SessionRow)
            assert [row.end_reason for row in ended] == [EndReason.SHELLS_CLOSED] * 2
            assert len(one.azure.history) == 2
            assert one.tables.rows("core", "w-", WaitRow) == []

    asyncio.run(run())
