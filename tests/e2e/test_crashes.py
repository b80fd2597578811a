"""Processes die while sessions live, and come back: nothing is lost, nothing is left over."""

from __future__ import annotations

import os
import random
import threading
import time
from collections import Counter, defaultdict
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.e2e.exec_channel import in_container
from tests.e2e.people import Person, Shell
from tests.e2e.running_stack import RunningStack
from tests.e2e.waiting import pause, until

KILLS = int(os.environ.get("DEVBOXGPU_KILLS", "8"))
LIVES_AT_ONCE = 3
METERING_TOLERANCE_S = 60
"""How far a session's metered time may be from what ran (reliability.md 2.1, I7)."""


def test_sessions_in_every_state_carry_on_after_the_host_was_killed(stack, dev):
    running, stopping = dev.opened(), dev.opened()
    stack.azure_faults(delete_stuck={"value": True, "app": stopping.app})
    stopping.close()
    stopping.until_state("Stopping")
    stack.capacity(createSeconds=600)
    coming = dev.open()
    until(lambda: stack.truth_of(coming.app), "Azure to begin")

    stack.kill("host")
    assert stack.up() == ["host"]
    stack.capacity(createSeconds=0)
    stack.azure_faults(delete_stuck=False)

    stopping.ended("ShellsClosed")
    for shell in (running, coming):
        shell.until_state("Running")
        assert shell.renew().status == 200
        assert len(stack.truth_of(shell.app)) == 1
        shell.close()
        shell.ended("ShellsClosed")


def test_a_command_given_just_before_the_host_was_killed_is_carried_out(stack, dev):
    shells = [dev.opened() for _ in range(3)]
    for shell in shells:
        assert shell.close().status == 202
    stack.kill("host")
    stack.up()
    for shell in shells:
        shell.ended("ShellsClosed")


def test_a_running_session_outlives_its_storage_going_away_for_a_while(stack, dev):
    shell = dev.opened()
    stack.stop("azurite")

    answer = dev.call("GET", shell.path)
    assert (answer.status, answer.error_code) == (503, "ServiceUnavailable")
    assert answer.headers["Retry-After"]
    assert stack.truth_of(shell.app)[0]["alive"]

    assert stack.up() == ["azurite"]
    assert shell.renew().status == 200
    assert shell.view()["state"] == "Running"
    shell.close()
    shell.ended("ShellsClosed")


def test_a_running_session_outlives_azure_itself_being_killed(stack, dev):
    shell = dev.opened()
    (pids,) = (app["pids"] for app in stack.truth_of(shell.app))
    stack.kill("cloud")
    looks = stack.session_row(shell.session)["round"]
    until(lambda: stack.session_row(shell.session)["round"] > looks + 1, "looks at an Azure that does not answer")

    assert stack.up() == ["cloud"]

    assert shell.view()["state"] == "Running"
    (app,) = stack.truth_of(shell.app)
    assert app["pids"] == pids
    with in_container(shell, "nvidia-smi -L") as channel:
        channel.read_to_the_end()
    assert b"GPU 0: " in channel.printed
    shell.close()
    shell.ended("ShellsClosed")


def test_an_orderly_restart_of_the_host_is_no_event_for_sessions(stack, dev):
    shell = dev.opened()
    stack.cloud.restart("host")
    assert shell.renew().status == 200
    shell.close()
    shell.ended("ShellsClosed")


def test_a_running_session_gets_its_next_driver_when_the_failed_one_is_overdue(stack, dev):
    shell = dev.opened()
    stack.engine_faults(failEpisodes={"count": 1, "instance": shell.session, "now": True})

    until(lambda: stack.session_row(shell.session)["epoch"] == 2, "the next driver")

    assert shell.view()["state"] == "Running"
    looks = stack.session_row(shell.session)["round"]
    until(lambda: stack.session_row(shell.session)["round"] > looks, "the next driver's look")
    shell.close()
    shell.ended("ShellsClosed")


@dataclass
class Lives:
    """Sessions that are opened and ended one after the other, by people who do not give up."""

    people: list[Person]
    seed: int
    over: threading.Event = field(default_factory=threading.Event)
    ended: list[str] = field(default_factory=list)
    sessions: list[str] = field(default_factory=list)

    def live(self, number: int) -> None:
        """Open and end sessions in the one or the other way until told that it is enough."""
        choices = random.Random(self.seed * 1000 + number)
        while not self.over.is_set():
            person = self.people[number]
            way = choices.choice(("close early", "close", "stop", "hold"))
            shell = person.open()
            self.sessions.append(shell.session)
            self.ended.append(_live(shell, way, choices.uniform(0.0, 0.8)))


def _live(shell: Shell, way: str, moment_s: float) -> str:
    """Lead one session from its opening to its end; return its end reason, which must be what was asked for."""
    if way == "close early":
        pause(moment_s)
        shell.close()
        view = shell.until_state("Ended")
        assert view["endReason"] in ("Cancelled", "ShellsClosed"), view
        return str(view["endReason"])
    shell.until_state("Running")
    if way == "hold":
        pause(moment_s)
        assert shell.renew().status == 200
    if way == "stop":
        assert shell.stop().status == 202
        return str(shell.ended("StoppedByUser")["endReason"])
    assert shell.close().status == 202
    return str(shell.ended("ShellsClosed")["endReason"])


@pytest.mark.timeout(120 + 20 * KILLS)
def test_killed_at_any_moment_of_sessions_lives_the_host_comes_back_and_all_end_as_asked(stack, somebody):
    """`DEVBOXGPU_KILLS=100 pytest -s` prints what was struck: in which states sessions were at each kill."""
    stack.capacity(createSeconds=0.4, startSeconds=0.2, deleteSeconds=0.4)
    lives = Lives([somebody() for _ in range(LIVES_AT_ONCE)], seed=KILLS)
    moments = random.Random(11)
    before = {entry["uid"] for entry in stack.truth()}
    struck: Counter[str] = Counter()
    with ThreadPoolExecutor(LIVES_AT_ONCE) as pool:
        going = [pool.submit(lives.live, number) for number in range(LIVES_AT_ONCE)]
        try:
            for number in range(1, KILLS + 1):
                pause(moments.uniform(0.0, 2.0))
                struck.update(_kill_and_bring_back(stack, number))
                _raise_if_failed(going)
        finally:
            lives.over.set()
    _raise_if_failed(going)
    ends = Counter(lives.ended)
    print(f"\n{KILLS} kills; sessions struck: {dict(struck)}; {sum(ends.values())} sessions ended: {dict(ends)}")
    assert sum(struck.values()) > 0
    stack.nothing_left()
    _hold_to_account(stack, lives.sessions, before)


def _kill_and_bring_back(stack: RunningStack, number: int) -> list[str]:
    """Kill the host and start it again; return the states of the sessions that were alive just before."""
    states = [row["state"] for row in stack.rows("s-", "s.") if not row["settled"]]
    stack.kill("host")
    began = time.monotonic()
    stack.up()
    print(f"kill {number:3}: {', '.join(states) or 'nobody'}; serving again after {time.monotonic() - began:.1f} s")
    return states


def _raise_if_failed(going: list[Future[None]]) -> None:
    for one in going:
        if one.done() and (trouble := one.exception()) is not None:
            raise trouble


def _hold_to_account(stack: RunningStack, sessions: list[str], before: set[str]) -> None:
    """Hold every app made since then to one of these sessions, and each of them to one app and to its time (I3, I7).

    What earlier tests left in the truth list is not judged: sessions that they sent elsewhere had an app a place.
    """
    apps: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    for entry in stack.truth():
        if entry["uid"] not in before:
            apps[entry["name"].removeprefix("dbg-")].append(entry)
    assert apps.keys() <= set(sessions), "apps that no session owns"
    rows = {row["session"]: row for row in stack.rows("s-", "s.")}
    for session in sessions:
        ran = [(entry["region"], entry["gpuSeconds"]) for entry in apps[session]]
        assert len(ran) <= 1, (session, ran, rows[session].get("tries"))
        metered_s = rows[session]["metered_s"] or 0
        assert abs(metered_s - sum(seconds for _, seconds in ran)) <= METERING_TOLERANCE_S, (session, metered_s, ran)
