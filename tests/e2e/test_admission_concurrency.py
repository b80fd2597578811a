"""A hundred requests at once for ten places: ten are admitted, and never more than ten live, to the end of the line."""

from __future__ import annotations

from datetime import datetime

import pytest

from tests.e2e.audit import ledger_changes, out_of_turn
from tests.e2e.crowd import all_at_once, drain, states, watched
from tests.e2e.policies import FIFO, places

CAP = 10


@pytest.fixture
def crowd(stack, somebody):
    """Fifty people of project `demo`, in which ten sessions may live at once."""
    stack.settings(places(CAP, **FIFO))
    return [somebody() for _ in range(50)]


def arrivals(stack, shells):
    """Return what sorts the sessions as the line does: the instant of the request in milliseconds, then the id."""
    mine = {shell.session for shell in shells}
    asked_at = {
        row["session"]: datetime.fromisoformat(row["created_at"])
        for row in stack.rows("s-", "s.")
        if row["session"] in mine
    }
    return {session: f"{int(at.timestamp() * 1000):014d}-{session}" for session, at in asked_at.items()}


def test_of_a_hundred_at_once_ten_are_admitted_and_the_line_comes_in_by_arrival(stack, crowd):
    wishes = [{"wait": number % 4 == 0} for number in range(100)]
    with watched(stack) as watch:
        shells = all_at_once(crowd * 2, wishes)
        counted = states(stack, shells)
        would_wait = [shell for shell, wish in zip(shells, wishes, strict=True) if wish["wait"]]
        refused = [shell for shell in shells if shell.view()["state"] == "Ended"]
        drain(stack, shells)
        stack.nothing_left()

    assert counted["held"] == CAP
    assert counted["Waiting"] + counted["Ended"] == 100 - CAP
    assert not set(refused) & set(would_wait)
    assert {shell.view()["error"]["code"] for shell in refused} == {"ProjectGpuCapReached"}
    assert 0 < max(watch.alive) <= max(watch.present) <= CAP
    changes = ledger_changes(stack, {shell.session for shell in shells})
    assert out_of_turn(changes, arrivals(stack, shells)) == []
    assert sum(change.state == "Provisioning" for change in changes) == 100 - len(refused)


def test_a_host_killed_while_the_line_drains_admits_nobody_twice_and_forgets_nobody(stack, crowd):
    with watched(stack) as watch:
        shells = all_at_once(crowd[:24], [{"wait": True}] * 24)
        drain(stack, shells, until_left=11)
        stack.kill("host")
        stack.up()
        drain(stack, shells)
        stack.nothing_left()

    assert 0 < max(watch.alive) <= max(watch.present) <= CAP
    changes = ledger_changes(stack, {shell.session for shell in shells})
    admitted = [change.session for change in changes if change.state == "Provisioning"]
    assert sorted(admitted) == sorted(shell.session for shell in shells)
    assert out_of_turn(changes, arrivals(stack, shells)) == []
    assert all(len(stack.truth_of(shell.app)) == 1 for shell in shells)
