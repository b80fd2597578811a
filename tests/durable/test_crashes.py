"""kill -9 at any commit loses nothing, and repeats at most the activities that were in flight."""

import asyncio
import json
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from localcloud.durable.decisions import Status
from localcloud.durable.journal import Journal
from localcloud.durable.rows import InstanceQuery
from tests.durable.crash_child import AT_ONCE, STORIES
from tests.durable.hub import START, opened
from tests.durable.sleepers import program

ROOT = Path(__file__).parents[2]
LAST_COMMIT = 30
KILLS = st.lists(st.tuples(st.integers(1, LAST_COMMIT), st.sampled_from(["before", "after"])), min_size=1, max_size=3)


class Children:
    """Runs orders in processes of their own, and tells how they ended."""

    def __init__(self, server: "subprocess.Popen[str]") -> None:
        self._server = server

    def run(self, folder: Path, number: int, *, kill_at: int = 0, when: str = "after", room: int | None = None) -> int:
        """Room is how many bytes a file may hold, where that is less than the disk has."""
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        order = {"folder": str(folder), "start": number, "kill_at": kill_at, "when": when, "room": room}
        self._server.stdin.write(json.dumps(order) + "\n")
        self._server.stdin.flush()
        return int(self._server.stdout.readline())


@pytest.fixture(scope="module")
def children() -> Iterator[Children]:
    command = [sys.executable, "-m", "tests.durable.crash_child"]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        yield Children(server)
        assert server.stdin is not None
        server.stdin.close()


def check(folder: Path, number: int, *, repeated: int) -> None:
    """All instances completed with their results, and at most so many calls were made twice."""
    journal = Journal(folder / "journal")
    journal.open()
    try:
        rows = journal.instances(InstanceQuery(top=1_000))
        finished = {row.instance_id for row in rows if row.status.is_final}
        to_the_living = [one for one in journal.messages() if one.instance_id not in finished]
        assert (to_the_living, journal.activities()) == ([], [])
    finally:
        journal._release()
    wanted = {f"{story}-{index:03d}" for story in STORIES for index in range(number)}
    wanted |= {f"sleeps_and_calls-{index:03d}-child" for index in range(number)}
    assert {row.instance_id for row in rows} == wanted
    assert {(row.status, row.output) for row in rows} == {(Status.COMPLETED, "[0,1,2]")}
    calls = Counter((folder / "calls.log").read_text(encoding="utf-8").splitlines())
    assert len(calls) == 3 * number * len(STORIES)
    assert sum(calls.values()) - len(calls) <= repeated


@given(kills=KILLS)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_all_complete_wherever_the_process_dies(kills: list[tuple[int, str]], children: Children) -> None:
    number = 2
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        ended = [children.run(folder, number, kill_at=commit, when=when) for commit, when in kills]
        assert set(ended) <= {0, -signal.SIGKILL}
        assert children.run(folder, number) == 0
        check(folder, number, repeated=AT_ONCE * len(kills))


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_host_that_is_killed_at_each_commit_in_turn_comes_through(
    when: str, children: Children, tmp_path: Path
) -> None:
    """Each life makes one commit more than the one before it, and dies."""
    kills = 0
    for commit in range(1, LAST_COMMIT):
        if children.run(tmp_path, 1, kill_at=commit, when=when) == 0:
            break
        kills += 1
    assert kills >= 3
    assert children.run(tmp_path, 1) == 0
    check(tmp_path, 1, repeated=AT_ONCE * kills)


def test_a_crowd_completes_after_two_kills(children: Children, tmp_path: Path) -> None:
    assert children.run(tmp_path, 15, kill_at=12) == -signal.SIGKILL
    assert children.run(tmp_path, 15, kill_at=15, when="before") == -signal.SIGKILL
    assert children.run(tmp_path, 15) == 0
    check(tmp_path, 15, repeated=AT_ONCE * 2)


@pytest.mark.parametrize("room", [20_000, 60_000, 120_000])
def test_a_host_whose_disk_is_full_ends_with_an_error_and_loses_nothing(
    room: int, children: Children, tmp_path: Path
) -> None:
    assert children.run(tmp_path, 5, room=room) == 1
    assert children.run(tmp_path, 5) == 0
    check(tmp_path, 5, repeated=3 * 5 * len(STORIES))  # until the process ends, outcomes are refused and calls go on


def test_a_timer_that_came_due_while_the_host_was_down_fires_at_the_next_start(tmp_path: Path) -> None:
    async def run() -> None:
        async with opened(tmp_path / "journal", program) as hub:
            await hub.start("sleeps_an_hour")
            await hub.settle()
            assert hub.status() == "Running"
        async with opened(tmp_path / "journal", program, now=START + timedelta(days=1)) as hub:
            await hub.settle()
            assert (hub.status(), hub.output()) == ("Completed", "slept")

    asyncio.run(run())
