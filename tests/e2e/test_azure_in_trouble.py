"""Azure refuses, forgets, breaks off and lies: sessions come up all the same or end with the reason, and none stays."""

from __future__ import annotations

import pytest

from tests.e2e.exec_channel import in_container
from tests.e2e.waiting import until


@pytest.mark.parametrize(
    ("fault", "reason", "code"),
    [
        ("op_expired", "NoCapacity", "NoCapacity"),
        ("image_unauthorized", "ProvisioningFailed", "ImageNotPulled"),
        ("cpu_only", "ProvisioningFailed", "GpuMissing"),
    ],
)
def test_an_app_that_cannot_become_a_session_is_taken_down_and_the_reason_told(stack, dev, fault, reason, code):
    stack.azure_faults(**{fault: True})

    shell = dev.open()

    view = shell.ended(reason)
    assert view["error"]["code"] == code
    operation = shell.operation()
    assert (operation["status"], operation["error"]["code"]) == ("Failed", code)


TROUBLES = ("throttle", "status_500", "html_503", "drop_after")


def one_of_each(method: str) -> dict[str, object]:
    return {name: {"value": 1, "count": 1, "method": method} for name in TROUBLES}


def test_sessions_come_up_and_go_away_although_azure_throttles_breaks_and_forgets_to_answer(stack, dev):
    stack.azure_faults(**one_of_each("PUT"))
    shells = [dev.open() for _ in TROUBLES]
    for shell in shells:
        shell.until_state("Running")
        assert len(stack.truth_of(shell.app)) == 1
    assert stack.faults_left(*TROUBLES) == 0

    stack.azure_faults(**one_of_each("DELETE"))
    for shell in shells:
        shell.close()
    for shell in shells:
        shell.ended("ShellsClosed")
    assert stack.faults_left(*TROUBLES) == 0


def test_a_session_lives_and_ends_without_the_right_to_read_operations(stack, dev):
    stack.azure_faults(poll_403=True)
    shell = dev.opened()
    shell.close()
    shell.ended("ShellsClosed")


def test_a_stop_that_meets_an_app_still_being_made_waits_its_turn_and_then_deletes(stack, dev):
    stack.capacity(createSeconds=60)
    stack.azure_faults(delete_conflict_for=3)
    shell = dev.open()
    until(lambda: stack.truth_of(shell.app), "Azure to begin")

    shell.close()

    until(lambda: shell.view()["state"] == "Stopping", "the stop to begin")
    assert shell.owner.sessions(state="Stopping")
    shell.ended("Cancelled")


def test_a_create_that_azure_refuses_for_a_while_is_asked_for_again(stack, dev):
    stack.azure_faults(conflict_for=3)
    shell = dev.opened()
    assert len(stack.truth_of(shell.app)) == 1
    shell.close()


def test_a_gpu_stays_counted_until_azure_has_really_let_go_of_it(stack, dev):
    shell = dev.opened()
    stack.azure_faults(delete_stuck=True)
    shell.close()

    until(lambda: stack.session_row(shell.session)["delete_sent_at"], "the delete to be sent")
    until(lambda: stack.session_row(shell.session)["looks"] > 3, "some looks at the app that does not go")
    assert shell.view()["state"] == "Stopping"
    assert stack.rows("q", "q.")[0]["by_type"] == '{"T4":1}'
    assert not shell.owner.sessions(state="Ended")

    stack.azure_faults(delete_stuck=False)
    shell.ended("ShellsClosed")


def test_an_unreadable_azure_is_not_taken_for_a_lost_app(stack, dev):
    shell = dev.opened()
    stack.azure_faults(arm_403=True)
    looks_at = stack.session_row(shell.session)["round"]
    until(lambda: stack.session_row(shell.session)["round"] > looks_at + 2, "some looks that fail")
    assert shell.renew().status == 200

    stack.azure_faults(arm_403=False)
    assert shell.view()["state"] == "Running"
    shell.close()
    shell.ended("ShellsClosed")


def test_exec_that_is_not_ready_just_after_the_start_is_waited_for(stack, dev):
    stack.azure_faults(exec_500_for=2)
    shell = dev.opened()
    with in_container(shell, "nvidia-smi -L") as channel:
        channel.read_to_the_end()
    assert b"GPU 0: " in channel.printed
    shell.close()


def test_a_dropped_exec_leaves_the_session_and_what_is_in_it_alone(stack, dev):
    shell = dev.opened()
    stack.azure_faults(exec_drop_after={"value": {"bytes": 200}, "count": 1})
    with in_container(shell) as channel:
        channel.type("echo kept-$((20+1)) > note; seq 99999\n")
        channel.read_to_the_end()
        assert b"\n99999" not in channel.printed

    assert shell.renew().status == 200
    with in_container(shell, "cat note") as channel:
        channel.read_to_the_end()
    assert b"kept-21" in channel.printed
    assert shell.view()["state"] == "Running"
    shell.close()
    shell.ended("ShellsClosed")


def test_events_that_never_come_only_make_sessions_slower(stack, dev):
    stack.event_grid_faults(dropRate=1.0)
    shell = dev.opened()
    shell.close()
    shell.ended("ShellsClosed")
