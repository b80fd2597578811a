"""A request for a shell that is sent again finds the shell as it is, however the project shares its sessions (I9)."""

from __future__ import annotations

import pytest

from tests.control_plane.by_hand import ByHand


@pytest.fixture
def one():
    by_hand = ByHand()
    yield by_hand
    by_hand.close()


@pytest.mark.parametrize("sharing", ["dedicated", "shared", "dedicatedThenShared"])
@pytest.mark.parametrize("shells", [1, 2])
def test_the_same_request_is_answered_with_the_same_shell_and_another_is_refused(one, sharing, shells):
    one.settings(cap=2, per_user=1, shellSharing=sharing)
    for number in range(shells):
        one.call("alice", "OpenShell", {}, shell=f"shell-number-{number}")
    _, before = one.call("alice", "GetShell", shell="shell-number-0")

    status, again = one.call("alice", "OpenShell", {}, shell="shell-number-0")

    assert (status, again.session) == (200, before.session)
    status, refused = one.call("alice", "OpenShell", {"sessionName": "other"}, shell="shell-number-0")
    assert (status, refused.error.code) == (409, "ShellExists")
    one.check_invariants()
