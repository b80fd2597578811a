"""Bugs planted in the line and in what admission promises trip the checks, those of the rows or that of the audit."""

from __future__ import annotations

import itertools
from datetime import timedelta

import pytest

from activities import waiting
from shared.domain.fairness import Shares
from shared.domain.line import Line
from shared.domain.names import shell_key
from shared.domain.pricing import GpuType
from shared.domain.records import LedgerRow
from shared.domain.states import SessionState
from shared.ports.book_keeping import BookKeeper
from shared.ports.ledger_desk import LedgerDesk
from tests.control_plane.by_hand import DEMO, ByHand
from tests.control_plane.fakes import USERS

RUNNING, ENDED, WAITING = SessionState.RUNNING, SessionState.ENDED, SessionState.WAITING


@pytest.fixture
def one():
    by_hand = ByHand()
    by_hand.entitlement.boxes |= {("demo", USERS[name]) for name in USERS}
    by_hand.settings(cap=1)
    yield by_hand
    by_hand.close()


def check(one: ByHand) -> None:
    one.check_invariants()
    one.check_fair_order()


def line_up(one: ByHand, *names: str) -> list[str]:
    """Let them open one after the other, each willing to wait; the first has the only GPU. Return their sessions."""
    sessions = []
    for name in names:
        sessions.append(one.open(name, shell_of(one, name), wait=True).session)
        one.pass_time(1)
    return sessions


def shell_of(one: ByHand, name: str, *, new: bool = True) -> str:
    """Return an id for the user's next shell, or that of the last."""
    known = len(one.world.sessions.shells_of(DEMO, USERS[name]))
    return f"shell-of-{name}-{known + new}"


def give_back(one: ByHand, name: str, session: str) -> None:
    one.drive(session, RUNNING)
    one.call(name, "CloseShell", shell=shell_of(one, name, new=False))
    one.drive(session, ENDED)


def test_without_a_bug_the_line_moves_up_and_no_check_is_tripped(one):
    first, second, third = line_up(one, "alice", "bob", "carol")
    give_back(one, "alice", first)
    assert [one.session(each).state for each in (second, third)] == [SessionState.PROVISIONING, WAITING]
    check(one)


def test_i9_a_key_that_does_not_hold_the_shells_id_is_found(one, monkeypatch):
    numbers = itertools.count()
    monkeypatch.setattr("api.opening.shell_key", lambda user, shell: f"{shell_key(user, shell)}{next(numbers)}")
    one.settings(cap=4, per_user=4)
    for _ in range(2):
        one.call("alice", "OpenShell", {}, shell="shell-one")

    with pytest.raises(AssertionError, match="a shell is in two sessions"):
        check(one)


def test_i15_a_ledger_that_does_not_see_the_disable_is_found(one, monkeypatch):
    first, *_ = line_up(one, "alice", "bob")
    enabled = one.world.sessions.ledger(DEMO).row.policy
    monkeypatch.setattr(LedgerRow, "held_settings", property(lambda _: enabled))
    one.settings(cap=1, mode="Disabled")
    give_back(one, "alice", first)

    with pytest.raises(AssertionError, match=r"I15 .* although the project was disabled"):
        check(one)


def test_i1_a_cap_that_was_lowered_and_is_not_seen_is_found(one, monkeypatch):
    one.settings(cap=2)
    generous = one.world.sessions.ledger(DEMO).row.policy
    first, *_ = line_up(one, "alice", "bob", "carol")
    monkeypatch.setattr(LedgerRow, "held_settings", property(lambda _: generous))
    one.settings(cap=1)
    one.highest_cap = 2  # the use when it was lowered
    give_back(one, "alice", first)

    with pytest.raises(AssertionError, match=r"I1 .* cap of 1"):
        check(one)


def test_i21_a_line_in_which_the_last_comes_first_is_found(one, monkeypatch):
    forwards = Line.__iter__
    monkeypatch.setattr(Line, "__iter__", lambda line: reversed(list(forwards(line))))
    first, *_ = line_up(one, "alice", "bob", "carol")
    give_back(one, "alice", first)

    with pytest.raises(AssertionError, match=r"I21 .* passed"):
        check(one)


def test_i21_a_newcomer_that_passes_the_line_is_found(one, monkeypatch):
    monkeypatch.setattr(Line, "before", lambda *_: [])
    line_up(one, "alice", "bob")
    monkeypatch.setattr(LedgerDesk, "promote", lambda *_: None)
    one.settings(cap=2)  # a free place that nobody was given
    one.open("carol", shell_of(one, "carol"))

    with pytest.raises(AssertionError, match=r"I21 .* passed"):
        check(one)


def test_i21_an_entry_penalty_that_is_forgotten_is_found(one, monkeypatch):
    charge = Shares.admitted
    monkeypatch.setattr(Shares, "admitted", lambda shares, user, kind, _: charge(shares, user, kind, timedelta(0)))
    for name, lives, seconds in (("alice", 3, 10), ("bob", 1, 240)):
        for _ in range(lives):
            (session,) = line_up(one, name)
            one.pass_time(seconds)
            give_back(one, name, session)
    first, *_ = line_up(one, "carol", "alice", "bob")
    give_back(one, "carol", first)

    with pytest.raises(AssertionError, match=r"I21 .* passed"):
        check(one)


def test_i22_a_release_that_promotes_nobody_is_found(one, monkeypatch):
    monkeypatch.setattr(BookKeeper, "_promote", lambda *_: None)
    first, *_ = line_up(one, "alice", "bob")
    give_back(one, "alice", first)

    with pytest.raises(AssertionError, match=r"I22 .* waits on beside a free place"):
        check(one)


def test_a_promotion_that_leaves_the_place_in_line_is_found(one, monkeypatch):
    monkeypatch.setattr(BookKeeper, "_leave", lambda *_: None)
    first, *_ = line_up(one, "alice", "bob")
    give_back(one, "alice", first)

    with pytest.raises(AssertionError, match="the line and the sessions that wait"):
        check(one)


def test_i4_a_session_that_leaves_the_line_and_gives_back_what_another_has_is_found(one, monkeypatch):
    decided = waiting.Decided

    def released(*, ledger, **more):
        return decided(ledger=ledger.without_one(GpuType.T4, USERS["alice"]), **more)

    monkeypatch.setattr(waiting, "Decided", released)
    _, second = line_up(one, "alice", "bob")
    one.call("bob", "CloseShell", shell=shell_of(one, "bob", new=False))
    one.drive(second, ENDED)

    with pytest.raises(AssertionError):
        check(one)
