"""A full project: who would rather wait stands in line, comes in when a place is free, and may leave at any time."""

from __future__ import annotations

import signal

import pytest

from tests.e2e.command_line import ATTACHED, CommandLine, exit_code, says
from tests.e2e.people import Shell
from tests.e2e.policies import FIFO, LAPSES_AT_ONCE, disabled, places
from tests.e2e.running_stack import RunningStack
from tests.e2e.waiting import until


@pytest.fixture
def holder(stack, somebody) -> Shell:
    """The shell that has the only place of the project, where who came first is next."""
    stack.settings(places(1, **FIFO))
    return somebody().opened()


def place_of(shell: Shell) -> int | None:
    operation = shell.operation()
    assert operation["status"] == "Running", operation
    place: int | None = operation.get("queuePosition")
    return place


def until_place(shell: Shell, place: int) -> None:
    """Wait for the place: what the monitor tells of the line may be a second old."""
    until(lambda: place_of(shell) == place, f"{shell.session} to be number {place}")


def left_without_a_gpu(stack: RunningStack, *shells: Shell) -> None:
    """Hold the sessions to having left the line, never having had an app."""
    assert not stack.rows("w-", "w.")
    for shell in shells:
        assert not stack.truth_of(shell.app)


def test_who_waits_is_told_the_place_and_comes_in_by_arrival_as_places_become_free(holder, somebody):
    second, third = somebody().waits(), somebody().waits()
    told = third.operation()
    assert (told["status"], told["queuePosition"], told["queueLength"]) == ("Running", 2, 2)
    assert "in use" in told["waitReason"]
    assert told["waitTimesOutAt"] == third.view()["waitTimesOutAt"]
    assert "phase" not in told
    assert "region" not in third.view()

    holder.close()

    second.until_state("Running")
    until_place(third, 1)
    assert second.operation()["status"] == "Succeeded"
    second.stop()
    third.until_state("Running")
    third.close()


def test_with_fair_share_who_has_used_less_comes_first(stack, somebody):
    stack.settings(places(1))
    busy, idle = somebody(), somebody()
    holder = busy.opened()
    again, newcomer = busy.waits(), idle.waits()
    until_place(newcomer, 1)
    until_place(again, 2)

    holder.close()

    newcomer.until_state("Running")
    assert again.view()["state"] == "Waiting"
    newcomer.close()
    again.until_state("Running")
    again.close()


def test_an_end_is_estimated_once_it_is_known_how_long_sessions_last(holder, somebody):
    before = holder
    for _ in range(3):
        following = somebody().waits()
        before.close()
        following.until_state("Running")
        before = following
    last = somebody().waits()
    until(lambda: "expectedWaitSeconds" in last.operation(), "an estimate")
    assert last.operation()["expectedWaitSeconds"] >= 0
    last.close()
    before.close()


@pytest.mark.parametrize(
    ("way", "reason"),
    [("close", "Cancelled"), ("stop", "StoppedByUser"), ("carol stops", "StoppedByAdministrator")],
)
def test_who_leaves_the_line_makes_room_and_never_gets_a_gpu(stack, holder, somebody, way, reason):
    leaver, behind = somebody().waits(), somebody().waits()

    if way == "close":
        assert leaver.close().status == 202
    else:
        leaver.stop(by=stack.person("carol") if way == "carol stops" else None)

    leaver.ended(reason)
    assert leaver.operation()["status"] == "Canceled"
    until_place(behind, 1)
    behind.close()
    behind.ended("Cancelled")
    holder.close()
    left_without_a_gpu(stack, leaver, behind)


def test_a_wait_ends_when_its_time_is_over(stack, holder, somebody):
    shell = somebody().waits(waitTimeoutSeconds=1)

    view = shell.ended("WaitTimedOut")

    assert view["error"]["code"] == "WaitTimedOut"
    operation = shell.operation()
    assert (operation["status"], operation["error"]["code"]) == ("Failed", "WaitTimedOut")
    holder.close()
    left_without_a_gpu(stack, shell)


def test_a_client_that_is_not_heard_of_any_more_loses_its_place(stack, somebody):
    stack.settings(places(1, **FIFO, **LAPSES_AT_ONCE))
    holder = somebody().opened()
    gone, faithful = somebody().waits(), somebody().waits()

    def renew() -> None:
        assert holder.renew().status == faithful.renew().status == 200

    gone.ended("LeaseLapsed", meanwhile=renew)

    assert faithful.view()["state"] == "Waiting"
    holder.close()
    faithful.until_state("Running", meanwhile=faithful.renew)
    faithful.close()


def test_a_full_line_takes_nobody_in_and_who_will_not_wait_is_told_how(stack, somebody):
    stack.settings(places(1, line={"fairness": "fifo", "maxLength": 1}))
    holder, waiter = somebody().opened(), somebody().waits()

    refused = {"LineFull": somebody().open(wait=True), "ProjectGpuCapReached": somebody().open()}

    for code, shell in refused.items():
        view = shell.ended("Refused")
        assert view["error"]["code"] == code
        assert shell.operation()["error"]["code"] == code
    assert "--wait" in refused["ProjectGpuCapReached"].view()["error"]["message"]
    waiter.close()
    holder.close()


def test_a_raised_cap_lets_in_at_once_as_many_as_there_is_room_for(stack, holder, somebody):
    waiters = [somebody().waits() for _ in range(3)]

    stack.settings(places(3, **FIFO))

    for shell in waiters[:2]:
        shell.until_state("Running")
    until_place(waiters[2], 1)
    for shell in (*waiters[::-1], holder):
        shell.close()


def test_disabling_the_project_ends_those_that_wait_and_leaves_those_that_run(stack, holder, somebody):
    waiters = [somebody().waits() for _ in range(2)]

    stack.settings(disabled())

    for shell in waiters:
        view = shell.ended("ProjectDisabled")
        assert view["error"]["code"] == "GpuDisabled"
    assert holder.view()["state"] == "Running"
    assert holder.renew().status == 200
    holder.close()
    left_without_a_gpu(stack, *waiters)


def test_at_a_terminal_the_command_shows_the_place_and_then_the_shell(stack, holder, somebody, tmp_path):
    ahead = somebody().waits()
    screen = CommandLine(stack, somebody(), tmp_path).at_terminal("shell", "--wait")
    screen.expect_exact("2nd in line")

    holder.close()

    screen.expect_exact("1st in line")
    ahead.close()
    screen.expect_exact(ATTACHED)
    says(screen, 6)
    screen.sendline("exit 4")
    assert exit_code(screen) == 4


def test_interrupting_the_command_leaves_the_line(stack, holder, dev, tmp_path):
    screen = CommandLine(stack, dev, tmp_path).at_terminal("run", "--wait", "--", "true")
    screen.expect_exact("1st in line")

    screen.kill(signal.SIGINT)

    assert exit_code(screen) == 130
    (session,) = until(lambda: dev.sessions(state="Ended"), "the session in line to end")
    assert session["endReason"] == "Cancelled"
    holder.close()
    assert not stack.truth_of(session["app"])
