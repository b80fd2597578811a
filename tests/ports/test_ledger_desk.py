"""The ledger's desk: many at once, each carried out once, and nobody's trouble another's."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from shared.domain.admission import Book
from shared.domain.names import ProjectId, UserId
from shared.domain.pricing import GpuType
from shared.domain.records import LedgerRow
from shared.ports.book_keeping import BookKeeper, Entry
from shared.ports.clock import utc_now
from shared.ports.ledger_desk import MOST_TOGETHER, LedgerDesk
from shared.ports.sessions import LookupRow
from shared.ports.tables import Insert, StorageUnavailable, Update
from tests.control_plane.fakes import MemoryTables

DEMO, ALICE = ProjectId("demo"), UserId("alice")


@pytest.fixture
def tables() -> MemoryTables:
    made = MemoryTables()
    made.commit("core", DEMO, [Insert("q", LedgerRow(project=DEMO, revision=1))])
    return made


def desk_at(tables: MemoryTables) -> LedgerDesk:
    return LedgerDesk(BookKeeper(tables, utc_now))


def reserving(key: str):
    def request(book: Book) -> Entry:
        return Entry(book.ledger.with_one(GpuType.T4, ALICE), [Insert(key, LookupRow(project=DEMO))])

    return request


def reserved(tables: MemoryTables) -> int:
    return tables.read("core", DEMO, "q", LedgerRow).row.by_type.get("T4", 0)


def test_two_hundred_at_once_are_each_carried_out_once_in_few_transactions(tables):
    desk, before = desk_at(tables), tables.commits
    with ThreadPoolExecutor(32) as pool:
        done = list(pool.map(lambda number: desk.enter(DEMO, reserving(f"k{number:03d}")), range(200)))

    assert all(done)
    assert reserved(tables) == 200
    assert len(tables.rows("core", "k", LookupRow)) == 200
    assert tables.commits - before <= 200


def test_those_who_come_while_one_is_served_go_together(tables):
    desk, entered, release = desk_at(tables), threading.Event(), threading.Event()

    def slow(book):
        entered.set()
        release.wait(10)
        return reserving("first")(book)

    with ThreadPoolExecutor(MOST_TOGETHER) as pool:
        first = pool.submit(desk.enter, DEMO, slow)
        entered.wait(10)
        others = [pool.submit(desk.enter, DEMO, reserving(f"k{number}")) for number in range(10)]
        while len(desk._queues[DEMO]) < 10:
            threading.Event().wait(0.001)
        before = tables.commits
        release.set()
        assert first.result()
        assert all(other.result() for other in others)

    assert tables.commits - before == 2


def test_one_whose_row_has_changed_is_told_and_its_neighbours_are_carried_out(tables):
    desk, entered, release = desk_at(tables), threading.Event(), threading.Event()

    def slow(book):
        entered.set()
        release.wait(10)
        return reserving("first")(book)

    def stale(book: Book) -> Entry:
        return Entry(book.ledger.with_one(GpuType.T4, ALICE), [Update("absent", LookupRow(project=DEMO), "old")])

    def broken(_: Book) -> Entry:
        raise ValueError("released twice")

    with ThreadPoolExecutor(8) as pool:
        first = pool.submit(desk.enter, DEMO, slow)
        entered.wait(10)
        good, bad, worse = (pool.submit(desk.enter, DEMO, request) for request in (reserving("good"), stale, broken))
        while len(desk._queues[DEMO]) < 3:
            threading.Event().wait(0.001)
        release.set()
        assert (first.result(), good.result(), bad.result()) == (True, True, False)
        with pytest.raises(ValueError, match="released twice"):
            worse.result()

    assert reserved(tables) == 2


def test_storage_that_is_away_is_told_to_everyone_who_waits(tables):
    desk = desk_at(tables)
    tables.away = True

    with ThreadPoolExecutor(8) as pool:
        told = [pool.submit(desk.enter, DEMO, reserving(f"k{number}")) for number in range(8)]
        for one in told:
            with pytest.raises(StorageUnavailable):
                one.result()

    tables.away = False
    assert desk.enter(DEMO, reserving("after"))
    assert reserved(tables) == 1


def test_two_processes_at_one_ledger_never_lose_a_reservation(tables):
    desks = [desk_at(tables), desk_at(tables)]

    def insist(number: int) -> None:
        while not desks[number % 2].enter(DEMO, reserving(f"k{number:03d}")):
            pass

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(insist, range(60)))

    assert reserved(tables) == 60
