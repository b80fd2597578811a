"""The audit: each write says who, what, from where and in which request; refused attempts are told, never a flood."""

from __future__ import annotations

from datetime import timedelta
from threading import Event

import pytest

from activities.publishing import drain_outbox
from activities.refusal_writer import RefusalWriter
from activities.refusing import write_refusals
from api.operations import OPERATIONS
from shared.domain.access import Who
from shared.domain.names import PLATFORM
from shared.domain.records import OutboxRow
from shared.domain.refusals import MOST_ANONYMOUS, MOST_NAMED, MOST_OF_ONE, TOLD_EVERY, Attempt
from shared.domain.source_address import source_in
from shared.ports.refusals import Refusals
from shared.ports.world import World
from tests.control_plane.fakes import USERS
from tests.control_plane.plane import START, Plane

FORWARDED = "x-forwarded-for"
FROM_AZURE = {"DEVBOXGPU_SOURCE_HEADER": FORWARDED}


def entries(one: Plane, event_type: str, partition: str = "demo") -> list[OutboxRow]:
    """Return the audit's entries of a type, those on their way included."""
    found = [
        *one.tables.scan_all("audit", ("o-0", "o-:"), OutboxRow),
        *one.tables.scan_all("core", ("o-0", "o-:"), OutboxRow),
    ]
    rows = {stored.key: stored.row for where, stored in found if where.partition("~")[0] == partition}
    return [rows[key] for key in sorted(rows) if rows[key].event_type == f"DevBoxGpu.{event_type}"]


def refused(one: Plane, partition: str = "demo") -> list[OutboxRow]:
    write_refusals(one.world)
    return entries(one, "Access.Refused", partition)


# every write


def test_each_write_is_audited_with_its_request_and_where_it_came_from(played_exactly):
    async def story(one: Plane) -> None:
        asked: dict[str, str] = {}

        async def write(who: str, name: str, body=None, **parts: str) -> dict:
            headers = {FORWARDED: "203.0.113.9:1234", "if-match": "*"}
            status, answer, told = await one.call(who, name, body, headers=headers, **parts)
            assert status < 300, answer
            asked[name] = told["x-ms-request-id"]
            return answer

        await write("olga", "UpdateSettings", {"shellSharing": "shared"})
        view = await write("alice", "OpenShell", {}, shell="shell-one")
        await one.run_for(30)
        await write("alice", "ConnectShell", shell="shell-one")
        await write("alice", "ExtendSession", {"minutes": 500}, session=view["session"])
        await write("alice", "CloseShell", shell="shell-one")
        other = await one.open(shell="shell-two")
        await one.run_for(60)
        await write("carol", "StopSession", {"reason": "lunch"}, session=other["session"])
        await one.run_for(60)
        await write("olga", "SweepProject")

        for name, event, who in (
            ("UpdateSettings", "Project.SettingsChanged", "olga"),
            ("OpenShell", "Session.Requested", "alice"),
            ("OpenShell", "Session.Provisioning", "alice"),
            ("ConnectShell", "Shell.Connected", "alice"),
            ("ExtendSession", "Session.Extended", "alice"),
            ("CloseShell", "Shell.Closed", "alice"),
            ("StopSession", "Session.StopRequested", "carol"),
            ("SweepProject", "Sweep.Requested", "olga"),
        ):
            (row,) = [row for row in entries(one, event) if row.request == asked[name]]
            assert (row.actor, row.source) == (USERS[who], "203.0.113.9")
        by_itself = entries(one, "Session.Ended")
        assert {(row.actor, row.request, row.source) for row in by_itself} == {("control-plane", "", "")}

    played_exactly(story, **FROM_AZURE)


def test_a_shell_that_joins_is_audited_with_its_request(played_exactly):
    async def story(one: Plane) -> None:
        await one.enable(shellSharing="shared")
        await one.opened()
        _, _, told = await one.call("alice", "OpenShell", {}, shell="shell-two")

        (row,) = entries(one, "Shell.Joined")
        assert row.request == told["x-ms-request-id"]

    played_exactly(story)


def test_settings_and_extensions_are_audited_with_the_values_before_and_after(played_exactly):
    async def story(one: Plane) -> None:
        view = await one.opened()
        await one.call("alice", "ExtendSession", {"minutes": 500}, session=view["session"])
        headers = {"if-match": "*"}
        await one.call("olga", "UpdateSettings", {"maxConcurrentSessionsPerUser": 3}, headers=headers)

        (extended,) = entries(one, "Session.Extended")
        assert extended.data["before"]["maxLifetimeSeconds"] == 480 * 60
        assert extended.data["after"]["maxLifetimeSeconds"] > 480 * 60
        changed = entries(one, "Project.SettingsChanged")[-1]
        assert changed.data["before"]["maxConcurrentSessionsPerUser"] == 2
        assert changed.data["after"]["maxConcurrentSessionsPerUser"] == 3

    played_exactly(story)


def test_administrators_see_request_and_source(played_exactly):
    async def story(one: Plane) -> None:
        _, _, told = await one.call("alice", "OpenShell", {}, shell="shell-one", headers={FORWARDED: "2001:db8::7"})
        _, listed, _ = await one.call("carol", "ListActivity", query={"type": "Session.Requested"})

        (entry,) = listed["value"]
        assert (entry["request"], entry["source"]) == (told["x-ms-request-id"], "2001:db8::7")

    played_exactly(story, **FROM_AZURE)


def test_a_forwarding_header_is_believed_only_where_the_platform_sets_it(played_exactly):
    async def story(one: Plane) -> None:
        await one.call("alice", "OpenShell", {}, shell="shell-one", headers={FORWARDED: "203.0.113.9"})

        assert entries(one, "Session.Requested")[0].source == ""

    played_exactly(story)


@pytest.mark.parametrize(
    ("value", "source"),
    [
        ("203.0.113.9", "203.0.113.9"),
        ("203.0.113.9:51234", "203.0.113.9"),
        ("10.9.9.9, 203.0.113.9:51234", "203.0.113.9"),
        ("2001:db8::7", "2001:db8::7"),
        ("[2001:db8::7]:443", "2001:db8::7"),
        ("fe80::1%eth0", "fe80::1"),
        ("203.0.113.9\x1b[2J", ""),
        ("203.0.113.9, <script>", ""),
        ("localhost", ""),
        ("", ""),
    ],
)
def test_only_an_address_that_the_last_proxy_saw_is_kept(value, source):
    assert source_in(value) == source


# refused attempts


def test_refused_attempts_are_audited_with_who_what_why_and_request(played_exactly):
    async def story(one: Plane) -> None:
        _, _, told = await one.call("bob", "UpdateSettings", {}, headers={"if-match": "*", FORWARDED: "203.0.113.9"})
        await one.call("dave", "OpenShell", {}, shell="shell-one")
        await one.call("erin", "StopSession", {}, session="a" * 26)
        await one.open(shell="shell-two")
        await one.call("alice", "OpenShell", {"wait": True}, shell="shell-two")

        found = {
            (row.actor, row.subject, row.data["status"], row.data["error"], row.data["target"]) for row in refused(one)
        }
        assert found == {
            (USERS["bob"], "operations/UpdateSettings", 403, "Forbidden", ""),
            (USERS["dave"], "operations/OpenShell", 403, "NotEntitled", "shells/shell-one"),
            (USERS["erin"], "operations/StopSession", 404, "NotFound", f"sessions/{'a' * 26}"),
            (USERS["alice"], "operations/OpenShell", 409, "ShellExists", "shells/shell-two"),
        }
        (by_bob,) = [row for row in refused(one) if row.actor == USERS["bob"]]
        assert (by_bob.request, by_bob.source) == (told["x-ms-request-id"], "203.0.113.9")

    played_exactly(story, **FROM_AZURE)


def test_reads_and_malformed_requests_are_no_refused_attempts(played_exactly):
    async def story(one: Plane) -> None:
        assert (await one.call("dave", "GetSettings"))[0] == 404
        assert (await one.call("alice", "OpenShell", b"{", shell="shell-one"))[0] == 400

        assert refused(one) == []

    played_exactly(story)


def test_a_shell_that_is_not_ready_yet_refuses_nothing(played_exactly):
    async def story(one: Plane) -> None:
        await one.open()
        assert (await one.call("alice", "ConnectShell", shell="shell-one"))[0] == 409

        assert refused(one) == []

    played_exactly(story)


def test_nobody_gets_a_way_in_that_the_audit_does_not_have(played_exactly):
    async def story(one: Plane) -> None:
        await one.opened()
        one.tables.crash_at = (one.tables.commits + 2, "before")  # the renewal is the first
        status, answer, _ = await one.call("alice", "ConnectShell", shell="shell-one")

        assert (status, "token" in answer) == (500, False)

    played_exactly(story)


def test_the_token_of_a_refused_attempt_is_nowhere_in_the_audit(played_exactly):
    async def story(one: Plane) -> None:
        assert (await one.call("eyJ-canary-token", "OpenShell", {}, shell="shell-one"))[0] == 401

        (row,) = refused(one, PLATFORM)
        assert (row.actor, row.data["error"]) == ("anonymous", "Unauthenticated")
        assert "canary" not in repr(row)

    played_exactly(story)


def test_attempts_without_a_token_and_at_projects_that_are_not_there_are_told_to_operators_only(played_exactly):
    async def story(one: Plane) -> None:
        await one.call(None, "OpenShell", {}, shell="shell-one")
        await one.call("alice", "OpenShell", {}, project="made-up", shell="shell-one")

        assert refused(one) == []
        assert {row.actor for row in refused(one, PLATFORM)} == {"anonymous", USERS["alice"]}
        assert refused(one, "made-up") == []

    played_exactly(story)


def test_a_flood_of_refused_attempts_makes_one_row_at_once_and_one_with_their_number(played_exactly):
    async def story(one: Plane) -> None:
        for _ in range(500):
            await one.call("dave", "OpenShell", {}, shell="shell-one")
            write_refusals(one.world)
        assert [row.data["attempts"] for row in refused(one)] == [1]
        await one.run_for(61)

        assert sorted(row.data["attempts"] for row in refused(one)) == [1, 499]

    played_exactly(story)


def attempt(actor: str, number: int = 0, source: str = "") -> Attempt:
    return Attempt(
        at=START,
        project=f"project-{number}",
        actor=actor,
        operation="OpenShell",
        status=403,
        code="NotEntitled",
        request="r",
        source=source,
    )


def test_a_flood_of_made_up_addresses_and_projects_makes_a_bounded_number_of_rows_and_hides_no_named_caller():
    book = Refusals()
    for number in range(10 * MOST_ANONYMOUS):
        book.note(attempt("anonymous", number, source=f"203.0.113.{number}"))
    for number in range(100):
        book.note(attempt("a-flooder", number))
    book.note(attempt("a-user"))

    told = book.take_due(START)
    assert len(told) <= MOST_ANONYMOUS + 1 + MOST_OF_ONE + 1 + 1
    assert sum(tally.count for tally in told) == 10 * MOST_ANONYMOUS + 101
    assert [(tally.first.operation, tally.count) for tally in told if tally.first.actor == "a-user"] == [
        ("OpenShell", 1)
    ]
    assert sum(tally.count for tally in told if tally.first.actor == "a-flooder") == 100


def test_a_flood_of_very_many_callers_makes_a_bounded_number_of_rows():
    book = Refusals()
    for number in range(3 * MOST_NAMED):
        book.note(attempt(f"user-{number}"))

    told = book.take_due(START)
    assert len(told) <= MOST_NAMED + 1
    assert {tally.first.actor: tally.count for tally in told}["others"] == 2 * MOST_NAMED


def test_what_is_due_is_told_at_once_and_then_once_in_a_while():
    book = Refusals()
    book.note(attempt("a-user"))
    assert [tally.count for tally in book.take_due(START)] == [1]
    for _ in range(3):
        book.note(attempt("a-user"))
    assert book.take_due(START + TOLD_EVERY - timedelta(seconds=1)) == []
    assert [tally.count for tally in book.take_due(START + TOLD_EVERY)] == [3]
    assert book.take_due(START + timedelta(hours=1)) == []


def test_what_storage_does_not_take_is_told_later_with_all_that_came_meanwhile(played_exactly):
    async def story(one: Plane) -> None:
        await one.call("bob", "UpdateSettings", {}, headers={"if-match": "*"})
        one.tables.away = True
        assert write_refusals(one.world) == 0
        one.tables.away = False
        await one.call("bob", "UpdateSettings", {}, headers={"if-match": "*"})

        assert [row.data["attempts"] for row in refused(one)] == [2]

    played_exactly(story)


def test_each_process_writes_by_itself_and_goes_on_after_trouble(played_exactly):
    async def story(one: Plane) -> None:
        worlds, asked = iter([ValueError("no settings yet"), None]), Event()

        def ports() -> World:
            if (trouble := next(worlds, None)) is not None:
                raise trouble
            asked.set()
            return one.world

        await one.call("bob", "UpdateSettings", {}, headers={"if-match": "*"})
        writer = RefusalWriter(ports, every_s=0.01)
        writer.begin()
        assert asked.wait(30)
        writer.stop()

        assert len(entries(one, "Access.Refused")) == 1

    played_exactly(story)


# append-only


def test_an_entry_is_never_changed_once_it_is_in_the_audit(played_exactly):
    """MemoryTables refuses all but inserts there, in every test; here the one path that used to change an entry."""

    async def story(one: Plane) -> None:
        one.topic.refuses = lambda _: True
        await one.open()
        drain_outbox(one.world)
        before = one.tables.rows("audit", "o-", OutboxRow)
        await one.run_for(3 * 3600)

        assert entries(one, "Outbox.DeadLettered")
        assert one.tables.rows("audit", "o-", OutboxRow)[: len(before)] == before

    played_exactly(story, DEVBOXGPU_EVENT_LIFETIME_HOURS="2")


def test_every_operation_that_is_no_read_is_either_audited_or_known_not_to_change_anything():
    """Whoever adds an operation decides which it is."""
    audited = {
        "OpenShell",
        "ConnectShell",
        "CloseShell",
        "StopSession",
        "ExtendSession",
        "ReplaceSettings",
        "UpdateSettings",
        "SweepProject",
    }
    no_change = {"RenewLease", "ReplayPolicy"}

    assert {entry.name for entry in OPERATIONS if entry.method != "GET"} == audited | no_change
    assert all(entry.who is not Who.ANYONE for entry in OPERATIONS if entry.method != "GET")
