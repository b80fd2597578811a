from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from aca_harness import Handles, app_path, body, exec_once, is_running, running_cloud, wait_until

from localcloud.container_apps import end_replicas, replicas_root

ROOT = Path(__file__).parents[2]


class Standalone(Handles):
    """The stand-in as a process of its own, on the ports that it had before."""

    def __init__(self, state: Path, arm_port: int = 0, exec_port: int = 0) -> None:
        self.process = subprocess.Popen(
            [
                *(sys.executable, "-m", "localcloud.container_apps", "--state", str(state)),
                *("--arm-port", str(arm_port), "--exec-port", str(exec_port)),
            ],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert self.process.stdout is not None
        self.origins = json.loads(self.process.stdout.readline())
        super().__init__(arm=self.origins["arm"])

    @property
    def ports(self) -> tuple[int, int]:
        return tuple(int(self.origins[name].rsplit(":", 1)[1]) for name in ("arm", "exec"))  # type: ignore[return-value]

    def end(self, how: signal.Signals) -> int:
        self.process.send_signal(how)
        code = self.process.wait(timeout=20)
        assert self.process.stdout is not None
        self.process.stdout.close()
        return code


@pytest.fixture
def state(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path
    end_replicas(replicas_root(tmp_path))


@contextlib.contextmanager
def standalone(state: Path, *ports: int) -> Iterator[Standalone]:
    running = Standalone(state, *ports)
    try:
        yield running
    finally:
        if running.process.poll() is None:
            running.end(signal.SIGKILL)


def test_a_replica_outlives_a_killed_cloud_and_is_adopted(state: Path) -> None:
    with standalone(state) as first:
        replica = first.run_app("dbg-one")
        token, pids = first.token("dbg-one"), first.truth_of("dbg-one")["pids"]
        first.end(signal.SIGKILL)

    assert all(map(is_running, pids))
    with standalone(state, *first.ports) as second:
        assert second.origins == first.origins
        adopted = second.running_replica("dbg-one")
        assert (adopted.name, adopted.properties.containers[0].restart_count) == (replica.name, 0)
        assert second.truth_of("dbg-one")["pids"] == pids
        url = adopted.properties.containers[0].exec_endpoint
        assert asyncio.run(exec_once(url, token, "echo still")).output == "still\r\n"

        second.gone("dbg-one")
        assert not any(map(is_running, pids))


def test_a_container_that_ended_meanwhile_is_restarted(state: Path) -> None:
    with standalone(state) as first:
        first.run_app("dbg-one")
        pids = first.truth_of("dbg-one")["pids"]
        first.end(signal.SIGKILL)
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not any(map(is_running, pids)))

    with standalone(state) as second:
        wait_until(lambda: second.running_replica("dbg-one").properties.containers[0].restart_count == 1)
        second.gone("dbg-one")


def test_the_end_of_an_adopted_container_is_noticed(state: Path) -> None:
    with standalone(state) as first:
        first.run_app("dbg-one")
        pids = first.truth_of("dbg-one")["pids"]
        first.end(signal.SIGKILL)

    with standalone(state) as second:
        second.running_replica("dbg-one")
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        wait_until(lambda: second.running_replica("dbg-one").properties.containers[0].restart_count == 1)
        second.gone("dbg-one")


def test_open_operations_go_on_after_a_kill(state: Path) -> None:
    with standalone(state) as first:
        first.run_app("dbg-going")
        first.capacity(createSeconds=1000, deleteSeconds=1000)
        _, _, creating = first.rest("PUT", app_path("dbg-coming"), body())
        _, _, deleting = first.rest("DELETE", app_path("dbg-going"))
        first.end(signal.SIGKILL)

    with standalone(state, *first.ports) as second:
        assert second.app("dbg-coming").properties.provisioning_state == "InProgress"
        assert second.app("dbg-going").properties.provisioning_state == "Deleting"
        second.capacity(createSeconds=0, deleteSeconds=0)
        poll = creating["Azure-AsyncOperation"].removeprefix(second.arm).replace("?api-version=2026-07-01", "")
        wait_until(lambda: second.rest("GET", poll)[1]["status"] == "Succeeded")
        location = deleting["Location"].removeprefix(second.arm).replace("?api-version=2026-07-01", "")
        wait_until(lambda: second.rest("GET", location)[0] == 204)
        assert not second.exists("dbg-going")
        second.running_replica("dbg-coming")


def test_switches_capacity_and_truth_survive_a_kill(state: Path) -> None:
    with standalone(state) as first:
        first.run_app("dbg-old")
        first.gone("dbg-old")
        first.capacity(pullSeconds=3)
        first.faults(status_500={"value": True, "count": 2, "app": "dbg-x"})
        first.rest("GET", app_path("dbg-x"))
        before = first.truth()
        first.end(signal.SIGKILL)

    with standalone(state) as second:
        assert second.truth() == before
        assert second.faults()["status_500"]["count"] == 1
        assert second.rest("GET", "/_capacity")[1]["pullSeconds"] == 3


def test_an_orderly_stop_leaves_no_process_and_a_later_start_runs_the_apps_again(state: Path) -> None:
    with running_cloud(state) as first:
        replica = first.run_app("dbg-one").name
        pids = first.truth_of("dbg-one")["pids"]
    assert not any(map(is_running, pids))

    with running_cloud(state) as second:
        again = second.running_replica("dbg-one")
        assert again.name == replica
        assert again.properties.containers[0].restart_count == 1
        assert second.truth_of("dbg-one")["alive"]


def test_sigterm_ends_the_standalone_process_cleanly(state: Path) -> None:
    with standalone(state) as running:
        running.run_app("dbg-one")
        pids = running.truth_of("dbg-one")["pids"]

        assert running.end(signal.SIGTERM) == 0

    assert not any(map(is_running, pids))


def test_replicas_of_a_dead_cloud_can_be_ended_without_it(state: Path) -> None:
    with standalone(state) as running:
        for name in ("dbg-one", "dbg-two"):
            running.run_app(name)
        pids = [pid for row in running.truth(alive="1") for pid in row["pids"]]
        running.end(signal.SIGKILL)

    assert end_replicas(replicas_root(state)) == len(pids)

    assert not any(map(is_running, pids))
    assert list(replicas_root(state).iterdir()) == []
    assert end_replicas(replicas_root(state)) == 0


def test_a_replica_that_no_record_knows_is_cleared_away_at_the_start(state: Path) -> None:
    with standalone(state) as running:
        running.run_app("dbg-one")
        pids = running.truth_of("dbg-one")["pids"]
        running.end(signal.SIGKILL)
    (state / "container_apps" / "records.sqlite").unlink()
    for leftover in (state / "container_apps").glob("records.sqlite-*"):
        leftover.unlink()

    with running_cloud(state) as fresh:
        assert fresh.truth() == []
        assert not any(map(is_running, pids))
