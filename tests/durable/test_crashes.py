"""kill -9 at any commit loses nothing, and repeats at most the activities that were in flight."""

import asyncio
import signal
import subprocess
import sys
from collections import Counter
from datetime import timedelta
from pathlib import Path

import pytest

from localcloud.durable.journal import Journal
from localcloud.durable.rows import InstanceQuery
from tests.durable.hub import START, opened
from tests.durable.sleepers import program

ROOT = Path(__file__).parents[2]
AT_ONCE = 4


def run_child(folder: Path, number: int, *, kill_at: int = 0, when: str = "after") -> int:
    arguments = [str(folder / "journal"), str(folder / "calls.log"), str(number), str(kill_at), when]
    child = subprocess.run(
        [sys.executable, "-m", "tests.durable.crash_child", *arguments], cwd=ROOT, timeout=60, check=False
    )
    return child.returncode


def outputs(folder: Path) -> dict[str, str | None]:
    journal = Journal(folder / "journal")
    journal.open()
    try:
        return {row.instance_id: row.output for row in journal.instances(InstanceQuery(top=1_000))}
    finally:
        journal._release()


@pytest.mark.parametrize(("first_kill", "when"), [(1, "before"), (2, "after"), (5, "before"), (9, "after")])
def test_all_complete_although_the_process_dies_at_a_commit(first_kill: int, when: str, tmp_path: Path) -> None:
    number = 10
    assert run_child(tmp_path, number, kill_at=first_kill, when=when) == -signal.SIGKILL
    assert run_child(tmp_path, number) == 0

    assert outputs(tmp_path) == {f"instance-{index:03d}": "[0,1,2]" for index in range(number)}
    calls = Counter((tmp_path / "calls.log").read_text(encoding="utf-8").splitlines())
    assert len(calls) == 3 * number
    assert sum(calls.values()) - len(calls) <= AT_ONCE


def test_fifty_of_fifty_complete_after_two_kills(tmp_path: Path) -> None:
    assert run_child(tmp_path, 50, kill_at=12) == -signal.SIGKILL
    assert run_child(tmp_path, 50, kill_at=15, when="before") == -signal.SIGKILL
    assert run_child(tmp_path, 50) == 0

    assert set(outputs(tmp_path).values()) == {"[0,1,2]"}
    calls = Counter((tmp_path / "calls.log").read_text(encoding="utf-8").splitlines())
    assert len(calls) == 150
    assert sum(calls.values()) - len(calls) <= 2 * AT_ONCE


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
