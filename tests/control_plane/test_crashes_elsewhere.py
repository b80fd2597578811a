"""Whatever write is lost while a session goes on to another region or GPU type, it arrives there and nothing stays."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from shared.domain.names import SessionId
from shared.domain.states import EndReason, SessionState
from tests.control_plane.by_hand import ByHand

WRITES_OF_A_LIFE = 65
NO_T4 = frozenset((region, "gpu-t4") for region in ("westus3", "swedencentral"))


@pytest.fixture
def one() -> Iterator[ByHand]:
    by_hand = ByHand()
    by_hand.settings(cap=2, gpuTypes=[{"type": "T4"}, {"type": "A100", "fallback": True}])
    by_hand.azure.system_log = "The operation expired: no capacity"
    by_hand.azure.no_gpu_in = NO_T4
    yield by_hand
    by_hand.close()


def a_life(one: ByHand) -> SessionId:
    """Open, run where there is a GPU, close; whoever is refused by a crash asks again, and a step is called again."""
    for operation, until in (("OpenShell", SessionState.RUNNING), ("CloseShell", SessionState.ENDED)):
        body = {} if operation == "OpenShell" else None
        while not one.attempt(lambda name=operation, body=body: one.call("alice", name, body, shell="shell-one")):
            pass
        session = one.shell_row().session
        for _ in range(40):
            if one.session(session).state is until:
                break
            one.attempt(lambda: [one.step(hand) for hand in one.all_hands()])
            one.attempt(lambda: one.call("alice", "RenewLease", {"activeSecondsAgo": 0}, shell="shell-one"))
            one.pass_time(10)
    return session


def test_the_number_of_writes_that_are_crashed_covers_a_life(one):
    begun = one.tables.commits
    session = a_life(one)
    assert [(tried.region, tried.gpu_type) for tried in one.session(session).tries] == [
        ("westus3", "T4"),
        ("swedencentral", "T4"),
    ]
    assert one.tables.commits - begun <= WRITES_OF_A_LIFE


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("write", range(1, WRITES_OF_A_LIFE + 1))
def test_a_crash_at_any_write_leaves_the_session_on_its_way(one, write, when):
    one.crash_in((write, when))

    session = a_life(one)

    one.drive_to_the_end()
    one.check_nothing_left()
    row = one.session(session)
    assert (row.end_reason, row.gpu_type, len(row.tries)) == (EndReason.SHELLS_CLOSED, "A100", 2)
