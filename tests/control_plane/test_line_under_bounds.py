"""The line under Dev Center's bounds, which change without anybody telling us."""

from __future__ import annotations

import pytest

from shared.domain.governance import Governance
from shared.domain.settings import Mode
from shared.domain.states import EndReason, SessionState
from tests.control_plane.by_hand import ByHand


@pytest.fixture
def one():
    by_hand = ByHand()
    by_hand.settings(cap=2)
    yield by_hand
    by_hand.close()


def wait_under_a_bound(one: ByHand, bound: Governance) -> tuple[str, str]:
    """Let alice have a GPU, and bob wait for the second one, which the bound forbids."""
    one.governance.told["demo"] = bound
    first = one.open("alice", "shell-of-alice", wait=True)
    second = one.open("bob", "shell-of-bob", wait=True)
    assert second.state is SessionState.WAITING
    return first.session, second.session


def test_a_bound_that_is_raised_is_used_in_the_request_that_learns_of_it(one):
    _, second = wait_under_a_bound(one, Governance(max_concurrent=1))
    del one.governance.told["demo"]

    one.call("alice", "OpenShell", {"wait": True}, shell="shell-of-alice")

    assert one.session(second).state is SessionState.PROVISIONING


def test_a_bound_that_is_raised_is_used_although_nobody_opens_a_shell(one):
    _, second = wait_under_a_bound(one, Governance(max_concurrent=1))
    del one.governance.told["demo"]

    one.keep_house()

    assert one.session(second).state is SessionState.PROVISIONING


def test_a_project_that_dev_center_disables_admits_nobody_although_nobody_opens_a_shell(one):
    first, second = wait_under_a_bound(one, Governance(max_concurrent=1))
    one.governance.told["demo"] = Governance(mode=Mode.DISABLED)

    one.keep_house()

    one.drive(first, SessionState.RUNNING)
    one.call("alice", "CloseShell", shell="shell-of-alice")
    one.drive(first, SessionState.ENDED)
    assert one.drive(second, SessionState.ENDED).end_reason is EndReason.PROJECT_DISABLED
