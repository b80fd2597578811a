"""The durable engine loses events, terminates and whole drivers, as the vendor's does: the rows bring sessions home."""

from __future__ import annotations

import pytest

from tests.e2e.waiting import until


@pytest.fixture(scope="module", autouse=True)
def unhurried(running):
    """Drivers look for themselves once in a quarter of an hour only: what happens sooner, a wake-up has brought."""
    with running.under(DEVBOXGPU_WINDOW_SECONDS="900"):
        yield


def epoch(stack, shell) -> int:
    return int(stack.session_row(shell.session)["epoch"])


def test_a_close_is_raised_again_until_the_engine_no_longer_swallows_it(stack, dev):
    shell = dev.opened()
    stack.engine_faults(loseEvents={"count": 2, "instance": shell.session})

    shell.close()

    shell.ended("ShellsClosed")
    assert stack.engine_struck("loseEvents") == 2


def test_a_terminate_that_the_engine_swallows_changes_nothing(stack, dev):
    shell = dev.opened()
    stack.engine_faults(loseTerminates={"count": 1, "instance": shell.session})

    stack.terminate(f"{shell.session}-1")

    assert stack.engine_struck("loseTerminates") == 1
    shell.close()
    shell.ended("ShellsClosed")
    assert epoch(stack, shell) == 1


def test_a_driver_that_somebody_terminates_is_replaced_for_the_next_command(stack, dev):
    shell = dev.opened()

    stack.terminate(f"{shell.session}-1")

    assert shell.renew().status == 200
    shell.close()
    shell.ended("ShellsClosed")
    assert epoch(stack, shell) == 2


def test_a_session_whose_driver_fails_while_requested_is_taken_up_by_the_next(stack, dev):
    stack.engine_faults(failEpisodes={"count": 1})

    shell = dev.opened()

    assert stack.engine_struck("failEpisodes") == 1
    assert epoch(stack, shell) == 2
    shell.close()
    shell.ended("ShellsClosed")


def fail_driver(stack, shell) -> None:
    stack.engine_faults(failEpisodes={"count": 1, "instance": shell.session, "now": True})
    until(lambda: epoch(stack, shell) == 2, "the next driver")


def test_a_session_whose_driver_fails_while_provisioning_comes_up_with_one_app(stack, dev):
    stack.capacity(createSeconds=60)
    shell = dev.open()
    until(lambda: stack.truth_of(shell.app), "Azure to begin")
    fail_driver(stack, shell)

    stack.capacity(createSeconds=0)

    shell.until_state("Running")
    assert len(stack.truth_of(shell.app)) == 1
    shell.close()
    shell.ended("ShellsClosed")


def test_a_session_whose_driver_fails_while_running_is_stopped_by_the_next(stack, dev):
    shell = dev.opened()
    stack.engine_faults(failEpisodes={"count": 1, "instance": shell.session, "now": True})
    until(lambda: stack.engine_struck("failEpisodes"), "the driver to fail")

    assert shell.renew().status == 200
    shell.stop()
    shell.ended("StoppedByUser")
    assert epoch(stack, shell) == 2


def test_a_session_whose_driver_fails_while_stopping_is_taken_down(stack, dev):
    shell = dev.opened()
    stack.azure_faults(delete_stuck=True)
    shell.close()
    shell.until_state("Stopping")
    fail_driver(stack, shell)

    stack.azure_faults(delete_stuck=False)

    shell.ended("ShellsClosed")


def test_a_killed_worker_takes_no_session_with_it(stack, dev):
    stack.capacity(createSeconds=1)
    running = dev.opened()
    coming = [dev.open() for _ in range(3)]

    stack.engine_faults(killWorker=True)

    for shell in (running, *coming):
        shell.until_state("Running")
        assert len(stack.truth_of(shell.app)) == 1
        shell.close()
    for shell in (running, *coming):
        shell.ended("ShellsClosed")


@pytest.mark.parametrize(
    "faults",
    [
        {"failActivities": {"count": 2}},
        {"repeatFirstActivities": {"count": 10}},
        {"seed": 7, "timersEarly": {"upToSeconds": 1}, "timersLate": {"upToSeconds": 1}},
        {"startsLate": {"seconds": 4}},
    ],
    ids=lambda faults: "+".join(faults),
)
def test_a_whole_life_succeeds_although_the_engine(stack, dev, faults):
    stack.engine_faults(**faults)
    shell = dev.opened()
    assert len(stack.truth_of(shell.app)) == 1
    shell.close()
    shell.ended("ShellsClosed")
