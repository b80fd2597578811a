"""Several shells of one person in one session: which they get, until when it lives, and what the guest is told."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.e2e.exec_channel import in_container
from tests.e2e.people import Person, Shell, new_shell_id
from tests.e2e.waiting import until

SHARED = {"shellSharing": "shared", "gpuTypes": [{"type": "T4"}, {"type": "A100"}]}
OWN_FIRST = {"shellSharing": "dedicatedThenShared", "maxConcurrentSessionsPerUser": 2}
ROUNDS = int(os.environ.get("DEVBOXGPU_JOINS", "4"))
"""How often a shell joins while its session is being stopped, for each way to stop it."""


def asked(person: Person, **body: object):
    return person.call("PUT", f"users/me/shells/{new_shell_id()}", body)


def told_of(shell: Shell) -> list[str]:
    return [warning["kind"] for warning in shell.renew().json.get("warnings", [])]


def end(*shells: Shell) -> None:
    for shell in shells:
        shell.close()


def test_dedicated_shells_have_a_session_each_and_joining_is_not_allowed(stack, dev):
    one, other = dev.opened(), dev.opened()

    assert one.session != other.session
    refused = asked(dev, session=one.session)
    assert (refused.status, refused.error_code) == (403, "SharingNotAllowed")
    end(one, other)


def test_shared_shells_live_in_one_session_until_the_last_of_them_closes(stack, dev):
    stack.settings(SHARED)
    one = dev.opened()
    other = dev.open()
    assert other.session == one.session
    with in_container(one, "sh -c 'echo from-$((20+1)) > note'") as channel:
        channel.read_to_the_end()
    with in_container(other, "cat note") as channel:
        channel.read_to_the_end()
    assert b"from-21" in channel.printed

    closed = one.close()

    assert closed.status == 202
    assert (closed.json["state"], closed.json["openShells"]) == ("Running", 1)
    assert closed.json["closedAt"]
    assert one.renew().error_code == "ShellEnded"
    assert other.renew().status == 200
    assert other.view()["state"] == "Running"
    other.close()
    other.ended("ShellsClosed")
    assert len(stack.truth_of(one.app)) == 1


def test_a_session_is_shared_only_by_shells_of_one_person_that_want_the_same(stack, somebody):
    stack.settings(SHARED)
    person = somebody()
    mine, theirs, larger = person.open(), somebody().open(), person.open(gpuType="A100")

    assert len({mine.session, theirs.session, larger.session}) == 3
    end(mine, theirs, larger)


def at_the_same_moment(*acts):
    """Carry these out at once; return what came of each."""
    start = threading.Barrier(len(acts))

    def carry_out(act):
        start.wait()
        return act()

    with ThreadPoolExecutor(len(acts)) as pool:
        return list(pool.map(carry_out, acts))


def test_shells_opened_at_the_same_moment_make_one_session(stack, dev):
    stack.settings(SHARED)

    shells = at_the_same_moment(*[dev.open] * 5)

    assert len({shell.session for shell in shells}) == 1
    for shell in shells:
        assert shell.until_state("Running")["state"] == "Running"
    end(*shells[1:])
    assert shells[0].renew().status == 200
    end(shells[0])
    shells[0].ended("ShellsClosed")


@pytest.mark.parametrize("way", ["close", "stop"])
def test_a_shell_that_joins_while_the_session_is_being_stopped_is_in_or_told(stack, dev, way):
    stack.settings(SHARED)
    for _ in range(ROUNDS):
        first = dev.opened()

        _, second = at_the_same_moment(first.close if way == "close" else first.stop, dev.open)

        view = second.until_state("Running", "Ended")
        if view["state"] == "Running" and second.renew().status == 200:
            second.close()
        view = second.until_state("Ended")
        joined = second.session == first.session
        expected = "StoppedByUser" if joined and way == "stop" else "ShellsClosed"
        assert view["endReason"] == expected, view
        assert second.renew().error_code == "ShellEnded"
        stack.nothing_left()


def test_beyond_the_own_limit_a_shell_is_a_guest_and_hears_when_a_gpu_of_its_own_is_free(stack, dev):
    stack.settings(OWN_FIRST)
    first, second = dev.opened(), dev.opened()
    guest = dev.open()

    assert first.session != second.session
    assert guest.session == second.session
    assert (guest.view()["guest"], "guest" in second.view()) == (True, False)
    session = dev.call("GET", f"sessions/{second.session}").json
    assert [shell.get("guest", False) for shell in session["shells"]] == [False, True]
    assert told_of(guest) == []

    first.close()
    first.ended("ShellsClosed")

    until(lambda: told_of(guest) == ["OwnGpuAvailable"], "the guest to hear of the free GPU")
    assert told_of(second) == []
    end(second)
    assert guest.view()["state"] == "Running"
    end(guest)


def test_a_shell_joins_the_session_that_it_names(stack, dev):
    stack.settings(OWN_FIRST)
    first = dev.opened()

    named = dev.open(session=first.session)

    assert named.session == first.session
    assert named.connect().status == 200
    end(first, named)


def test_what_cannot_be_joined_looks_the_same_whether_it_exists_or_not(stack, somebody):
    stack.settings(SHARED)
    person, other = somebody(), somebody()
    theirs, ended = other.opened(), person.opened()
    end(ended)
    ended.ended("ShellsClosed")

    said = set()
    for session in (theirs.session, ended.session, "a" * 26):
        refused = asked(person, session=session)
        assert (refused.status, refused.error_code) == (409, "SessionNotJoinable")
        said.add(refused.text.replace(session, "…"))

    assert len(said) == 1
    assert theirs.view()["state"] == "Running"
    assert [shell["id"] for shell in other.call("GET", f"sessions/{theirs.session}").json["shells"]] == [theirs.id]
    end(theirs)
