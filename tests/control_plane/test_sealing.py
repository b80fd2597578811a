"""Seals of the audit: whatever is altered, removed or added afterwards is told; crashes, rivals and delays are not."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

import msgspec
import pytest

from activities.publishing import drain_outbox
from activities.sealing import seal_audit
from api.serve import answer
from shared.domain import names
from shared.domain.events import Actor, EventType
from shared.domain.names import ProjectId
from shared.domain.records import OutboxRow
from shared.domain.sealing import ENTRIES_A_SEAL, SealedEntry, SealRow, digest_of
from shared.ports.outgoing import outbox_entry
from shared.ports.rows import to_entity
from shared.ports.seals import newest_seal, seals_since
from tests.control_plane.fakes import Crashed, MemoryTables
from tests.control_plane.plane import START, Plane
from tests.control_plane.surroundings import Surroundings, request_for

DEMO = ProjectId("demo")
DAY = timedelta(days=1)
MINUTES_5 = timedelta(minutes=5)


@dataclass
class Time:
    now: datetime = START


@dataclass
class Place:
    """A project's audit, its sealer, and somebody with the storage key."""

    time: Time = field(default_factory=Time)
    tables: MemoryTables = field(default_factory=MemoryTables)

    def __post_init__(self) -> None:
        self.process = Surroundings(lambda: self.time.now, self.tables)

    def happens(self, *, ago: timedelta = timedelta(0), drained: bool = True, number: int = 1) -> list[str]:
        """Let something be audited; return its keys in the audit."""
        keys = []
        for one in range(number):
            at = self.time.now - ago
            data: dict[str, object] = {"note": f"number {one}", "amount": 0.1 + one}
            change = outbox_entry(EventType.STOP_REQUESTED, "sessions/x", data, Actor("a-user", "r", "203.0.113.9"), at)
            assert self.tables.commit("core", DEMO, [change])
            keys.append(change.key)
        if drained:
            drain_outbox(self.process.world)
        return keys

    def passes(self, span: timedelta) -> None:
        self.time.now += span

    def seal(self) -> int:
        return seal_audit(self.process.world, DEMO)

    def lives(self, days: int) -> list[str]:
        """Let days pass with an entry in each, sealed as sweeps would; return the keys."""
        keys = []
        for _ in range(days):
            keys += self.happens()
            self.passes(MINUTES_5)
            self.seal()
            self.passes(DAY - MINUTES_5)
            self.seal()
        return keys

    def verify(self, *, first: date | None = None, **query: str) -> dict[str, Any]:
        since = first or (self.time.now - timedelta(days=30)).date()
        operation, request = request_for("olga", "VerifyActivity", query={"from": since.isoformat(), **query})
        reply = answer(operation, request, self.process.world)
        assert reply.status == 200, reply.body
        told: dict[str, Any] = msgspec.to_builtins(reply.body)
        return told

    def found(self, **more: Any) -> list[tuple[str, str]]:
        told = self.verify(**more)
        return [(one["kind"], one.get("entry", str(one.get("seal"))).removeprefix("demo.")) for one in told["findings"]]

    # with the storage key

    def place_of(self, key: str) -> tuple[str, str, str]:
        return next(place for place in self.tables._rows if place[0] == "audit" and place[2] == key)

    def alter(self, key: str, **columns: Any) -> None:
        place = self.place_of(key)
        row, etag = self.tables._rows[place]
        self.tables._rows[place] = ({**row, **columns}, etag)

    def remove(self, key: str) -> None:
        del self.tables._rows[self.place_of(key)]

    def add(self, at: datetime) -> str:
        row = OutboxRow(event_type="DevBoxGpu.Project.SettingsChanged", subject="x", at=at, data={}, actor="mallory")
        key = names.outbox_key(int(at.timestamp() * 1000), "00")
        self.tables._rows[("audit", names.audit_partition(DEMO, at.date()), key)] = (to_entity(row), "e")
        return key

    def seals(self) -> list[SealRow]:
        return seals_since(self.tables, DEMO, date.min)

    def rewrite_seal(self, seal: SealRow) -> None:
        self.tables._rows[("seals", DEMO, names.seal_key(seal.number))] = (to_entity(seal), "e")

    def remove_seal(self, number: int) -> None:
        del self.tables._rows[("seals", DEMO, names.seal_key(number))]


@pytest.fixture
def place() -> Place:
    place = Place()
    place.seal()  # the chain begins today
    return place


# what is as it was


def test_days_of_changes_are_sealed_closed_and_found_intact(place):
    keys = place.lives(3)
    told = place.verify()

    assert (told["intact"], told["findings"], told["sealed"], told["waiting"]) == (True, [], 3, 0)
    assert len(keys) == 3
    assert told["head"]["hash"] == newest_seal(place.tables, DEMO).hash


def test_more_entries_than_fit_into_a_seal_go_into_several(place):
    place.happens(number=2 * ENTRIES_A_SEAL + 7)
    place.passes(MINUTES_5)
    place.seal()
    told = place.verify()

    assert (told["intact"], told["sealed"], told["waiting"]) == (True, 2 * ENTRIES_A_SEAL + 7, 0)


def test_what_is_young_waits_to_be_sealed_and_is_no_fault(place):
    place.happens(number=3)
    place.seal()
    told = place.verify()

    assert (told["intact"], told["sealed"], told["waiting"]) == (True, 0, 3)


def test_what_was_there_before_the_first_seal_is_told_as_not_sealed_and_no_fault():
    place = Place()
    place.happens(ago=2 * DAY, number=4)
    place.lives(2)
    told = place.verify()

    assert (told["intact"], told["findings"], told["waiting"]) == (True, [], 4)


def test_a_week_without_sweeps_is_made_up_for(place):
    place.lives(1)
    for _ in range(7):
        place.passes(DAY)
        place.happens()
    while place.seal():
        pass

    told = place.verify()
    assert (told["intact"], told["findings"]) == (True, [])
    assert told["sealed"] == 7


def test_a_quiet_sweep_costs_two_reads_and_no_write(place):
    place.lives(1)
    before = place.tables.commits
    for _ in range(10):
        place.seal()

    assert place.tables.commits == before


# tampering


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("actor", "somebody-else"),
        ("data", '{"note":"never mind"}'),
        ("event_type", "DevBoxGpu.Session.Extended"),
        ("subject", "sessions/y"),
        ("request", "another"),
        ("source", "198.51.100.1"),
        ("at", "2026-11-21T09:00:01Z"),
        ("seq", 9),
        ("seq", "nine"),
        ("at", "never"),
        ("data", "{"),
        ("actor", 7),
    ],
)
def test_an_entry_that_was_altered_is_named(place, column, value):
    keys = place.lives(2)
    place.alter(keys[0], **{column: value})

    assert place.found() == [("Altered", keys[0])]
    assert place.verify()["intact"] is False


def test_how_far_its_event_has_got_is_no_part_of_an_entry(place):
    keys = place.lives(1)
    place.alter(keys[0], audited=True, attempts=3, op="another")

    assert place.found() == []


def test_an_entry_that_was_removed_is_named(place):
    keys = place.lives(2)
    place.remove(keys[1])

    assert place.found() == [("Removed", keys[1])]


@pytest.mark.parametrize("ago_days", [1, 2, 12])
def test_an_entry_that_was_added_to_a_closed_day_is_named(place, ago_days):
    place.lives(14)
    key = place.add(place.time.now - ago_days * DAY)

    assert place.found() == [("Added", key)]
    assert place.verify()["intact"] is False


def test_an_entry_that_was_added_to_a_day_without_any_is_named(place):
    place.lives(1)
    for _ in range(10):
        place.passes(DAY)
        place.seal()
    key = place.add(place.time.now - 9 * DAY)

    assert place.found() == [("Added", key)]


def test_an_entry_that_was_added_behind_what_is_sealed_stays_told_as_late_for_good(place):
    place.lives(3)
    key = place.add(place.time.now - 2 * DAY)
    place.lives(2)

    assert place.found() == [("Late", key)]


def test_a_seal_that_was_altered_to_fit_is_named(place):
    keys = place.lives(3)
    place.remove(keys[0])
    (seal,) = [one for one in place.seals() if keys[0] in one.entries]
    forged = msgspec.structs.replace(seal, entries={})
    place.rewrite_seal(forged)
    assert ("SealAltered", str(seal.number)) in place.found()

    place.rewrite_seal(forged.hashed())
    assert place.found() == [("SealAltered", str(seal.number))]


def test_a_seal_that_cannot_be_read_any_more_is_told(place):
    place.lives(2)
    where = ("seals", DEMO, names.seal_key(2))
    row, etag = place.tables._rows[where]
    place.tables._rows[where] = ({**row, "entries": "{"}, etag)
    told = place.verify()

    assert (told["intact"], [one["kind"] for one in told["findings"]]) == (False, ["SealAltered"])


def test_a_seal_that_was_removed_is_named(place):
    keys = place.lives(3)
    (seal,) = [one for one in place.seals() if keys[1] in one.entries]
    place.remove_seal(seal.number)

    assert ("SealMissing", str(seal.number)) in place.found()


def test_a_chain_made_anew_fits_itself_but_not_the_seal_that_was_noted_elsewhere(place):
    keys = place.lives(2)
    head = place.verify()["head"]
    assert place.verify(expect=f"{head['number']}:{head['hash']}")["intact"] is True

    place.remove(keys[0])
    for number in range(head["number"], 1, -1):
        place.remove_seal(number)
    while place.seal():
        pass
    assert place.verify()["intact"] is True, "no chain proves that it is the first"
    told = place.verify(expect=f"{head['number']}:{head['hash']}")

    assert (told["intact"], [one["kind"] for one in told["findings"]]) == (False, ["HeadChanged"])


# late, crashed, at the same time


def test_an_entry_that_comes_late_is_sealed_when_its_day_is_closed_and_told_as_late(place):
    place.happens()
    place.passes(timedelta(minutes=30))
    place.seal()
    (late,) = place.happens(ago=timedelta(minutes=29, seconds=59))
    place.passes(MINUTES_5)
    place.seal()
    assert place.found() == []  # it is younger than what is sealed

    (later,) = place.happens(ago=timedelta(minutes=36))
    assert place.found() == [("Late", later)]
    place.passes(DAY)
    place.seal()

    assert place.found() == [("Late", later)]
    assert place.verify()["intact"] is True
    assert late != later


def test_a_day_is_not_closed_while_an_entry_of_it_waits_to_be_copied(place):
    place.lives(1)
    (key,) = place.happens(drained=False)
    place.passes(2 * DAY)
    assert place.seal() == 0
    drain_outbox(place.process.world)
    place.seal()

    assert place.found() == []
    assert any(key in seal.entries for seal in place.seals())


def test_an_entry_that_comes_after_its_day_was_closed_is_told_and_sealed_as_late(place):
    place.lives(3)
    (key,) = place.happens(ago=2 * DAY)
    assert place.found() == [("Added", key)]
    place.lives(1)

    assert place.found() == [("Late", key)]


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_crash_at_any_write_leaves_a_chain_that_goes_on(moment):
    for write in range(1, 12):
        place = Place()
        place.seal()
        place.happens(number=ENTRIES_A_SEAL + 3)
        place.passes(timedelta(minutes=40))
        place.seal()
        place.happens(number=2)
        place.happens(ago=timedelta(minutes=41))
        place.passes(DAY)
        place.tables.crash_at = (place.tables.commits + write, moment)
        try:
            place.seal()
        except Crashed:
            place.tables.crash_at = None
            place.process.start_process()
        while place.seal():
            pass

        told = place.verify()
        assert (told["intact"], told["sealed"], told["waiting"]) == (True, ENTRIES_A_SEAL + 6, 0)
        numbers = [seal.number for seal in place.seals()]
        assert numbers == list(range(1, len(numbers) + 1))
        sealed = [key for seal in place.seals() for key in seal.entries]
        assert len(sealed) == len(set(sealed))


def test_of_two_that_seal_at_the_same_time_one_stops_and_nothing_is_sealed_twice(place, monkeypatch):
    place.happens(number=3)
    place.passes(MINUTES_5)
    real_scan, rivals = place.tables.scan, [1]

    def scan(table: str, *more: Any, **named: Any) -> list[Any]:
        found = real_scan(table, *more, **named)
        if table == "audit" and rivals:
            rivals.clear()
            assert seal_audit(Surroundings(lambda: place.time.now, place.tables).world, DEMO) == 1
        return found

    monkeypatch.setattr(place.tables, "scan", scan)
    assert place.seal() == 0

    told = place.verify()
    assert (told["intact"], told["sealed"]) == (True, 3)
    assert [len(seal.entries) for seal in place.seals()] == [0, 3]


def test_a_seal_of_the_largest_size_fits_into_its_column(place):
    place.happens(number=ENTRIES_A_SEAL)
    place.passes(MINUTES_5)
    place.seal()

    assert len(to_entity(newest_seal(place.tables, DEMO))["entries"]) < 32_000


def test_the_digest_of_an_entry_stays_what_it_is():
    """It is stored for years: whoever changes what it covers must give it another name and keep this one."""
    row = SealedEntry(
        event_type="t", subject="s", at="2026-11-21T09:00:00Z", data='{"b":1}', actor="x", request="r", seq=2
    )

    assert digest_of("o-1", row) == "685b6eb244626f91bf64f4b609b8fba3ba288b4e05937c2454e0958cee2aaf0f"


# who may, and the whole


def test_the_sweep_seals_and_administrators_alone_verify(played_exactly):
    async def story(one: Plane) -> None:
        await one.opened()
        await one.call("dave", "OpenShell", {}, shell="shell-one")
        await one.call(None, "OpenShell", {}, shell="shell-one")
        await one.sweep()
        await one.run_for(300)
        await one.sweep()

        status, told, _ = await one.call("carol", "VerifyActivity")
        assert (status, told["intact"], told["findings"]) == (200, True, [])
        assert told["sealed"] >= 5
        status, told, _ = await one.call("olga", "VerifyPlatformActivity")
        assert (status, told["intact"], told["sealed"]) == (200, True, 1)
        status, told, _ = await one.call("olga", "ListPlatformActivity")
        assert [entry["actor"] for entry in told["value"]] == ["anonymous"]
        assert (await one.call("alice", "VerifyActivity"))[0] == 403
        assert (await one.call("erin", "VerifyActivity"))[0] == 404
        for who in ("alice", "carol"):
            assert (await one.call(who, "VerifyPlatformActivity"))[0] == 404
            assert (await one.call(who, "ListPlatformActivity"))[0] == 404

    played_exactly(story)


def test_platform_activity_comes_in_pages(played_exactly):
    async def story(one: Plane) -> None:
        for project in ("made-up", "made-upper"):
            await one.call("alice", "OpenShell", {}, project=project, shell="shell-one")
            await one.run_for(10)
        _, page, _ = await one.call("olga", "ListPlatformActivity", query={"maxpagesize": "1"})
        after = page["nextLink"].rpartition("after=")[2]
        assert page["nextLink"].startswith("http://127.0.0.1/api/activity?")
        _, rest, _ = await one.call("olga", "ListPlatformActivity", query={"maxpagesize": "1", "after": after})

        assert len({entry["id"] for entry in (*page["value"], *rest["value"])}) == 2

    played_exactly(story)


@pytest.mark.parametrize("expect", ["1", "x:y", "1:" + "g" * 64, "1:" + "a" * 64 + "\n"])
def test_an_expected_seal_that_cannot_be_one_is_refused(played_exactly, expect):
    async def story(one: Plane) -> None:
        status, told, _ = await one.call("carol", "VerifyActivity", query={"expect": expect})
        assert (status, told["error"]["target"]) == (400, "expect")

    played_exactly(story)
