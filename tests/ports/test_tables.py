"""Azure Tables through Azurite: agrees with the in-memory stand-in, and never believes a return code."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime

import pytest
from azure.core.exceptions import HttpResponseError, ServiceResponseError
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from shared.domain.names import ProjectId
from shared.domain.records import LedgerRow, SessionRow, WakeRow
from shared.ports import azure_tables
from shared.ports.azure_tables import connect
from shared.ports.rows import LONGEST_TEXT, RowTooLarge, from_entity, to_entity
from shared.ports.sessions import LookupRow
from shared.ports.tables import Delete, Insert, StorageUnavailable, Update
from tests.control_plane.fakes import MemoryTables

pytestmark = pytest.mark.stack
KEYS = st.sampled_from(["a", "b", "c"])


@pytest.fixture
def partition() -> str:
    return f"p-{uuid.uuid4().hex[:12]}"


def ledger(revision: int) -> LedgerRow:
    return LedgerRow(project=ProjectId("demo"), revision=revision, by_type={"T4": revision}, by_user={})


def test_memory_and_azurite_agree_on_every_sequence_of_transactions(tables):
    class Agreement(RuleBasedStateMachine):
        @initialize()
        def begin(self):
            self.partition = f"m-{uuid.uuid4().hex[:12]}"
            self.memory, self.revision = MemoryTables(), 0

        def _change(self, store, verb: str, key: str, stale: bool):
            stored = store.read("core", self.partition, key, LedgerRow)
            etag = stored.etag if stored and not stale else "W/\"datetime'2020-01-01T00%3A00%3A00.0000000Z'\""
            if verb == "insert":
                return Insert(key, ledger(self.revision))
            return Update(key, ledger(self.revision), etag) if verb == "update" else Delete(key, etag)

        @rule(
            wanted=st.lists(
                st.tuples(st.sampled_from(["insert", "update", "delete"]), KEYS, st.booleans()),
                min_size=1,
                max_size=3,
                unique_by=lambda one: one[1],
            )
        )
        def commit(self, wanted):
            self.revision += 1
            outcomes = []
            for store in (self.memory, tables):
                changes = [self._change(store, *one) for one in wanted]
                outcomes.append(store.commit("core", self.partition, changes))
            assert outcomes[0] == outcomes[1]

        @invariant()
        def same_rows(self):
            if not hasattr(self, "memory"):
                return
            seen = [
                [(s.key, s.row.revision) for s in store.scan("core", self.partition, ("a", "z"), LedgerRow)]
                for store in (self.memory, tables)
            ]
            assert seen[0] == seen[1]

    run_state_machine_as_test(Agreement, settings=settings(max_examples=12, stateful_step_count=12, deadline=None))


class Cut:
    """Stands between the adapter and its table: loses the reply of the next write, before or after its effect."""

    def __init__(self, client, *, after_effect: bool, error: Exception) -> None:
        self._client, self._after, self._error = client, after_effect, error

    def __getattr__(self, name):
        real = getattr(self._client, name)
        if name not in ("create_entity", "update_entity", "submit_transaction"):
            return real

        def cut(*words, **named):
            error, self._error = self._error, None
            if error is None:
                return real(*words, **named)
            if self._after:
                real(*words, **named)
            raise error

        return cut


def server_error() -> HttpResponseError:
    error = HttpResponseError("503")
    error.status_code = 503
    return error


@pytest.mark.parametrize("after_effect", [False, True])
@pytest.mark.parametrize("error", [ServiceResponseError("dropped"), server_error()], ids=["dropped", "503"])
@pytest.mark.parametrize("rows", [1, 2])
def test_a_lost_reply_is_looked_up_so_that_a_write_happens_exactly_once(tables, partition, after_effect, error, rows):
    tables.commit("core", partition, [Insert("a", ledger(1)), Insert("b", ledger(1))])
    kept = [tables.read("core", partition, key, LedgerRow) for key in ("a", "b")[:rows]]
    real = tables._clients["core"]
    tables._clients["core"] = Cut(real, after_effect=after_effect, error=error)
    try:
        done = tables.commit("core", partition, [Update(row.key, ledger(2), row.etag) for row in kept])
    finally:
        tables._clients["core"] = real

    assert done
    assert tables.read("core", partition, "a", LedgerRow).row.revision == 2


def test_a_row_that_changed_meanwhile_refuses_the_whole_transaction(tables, partition):
    tables.commit("core", partition, [Insert("a", ledger(1)), Insert("b", ledger(1))])
    a, b = (tables.read("core", partition, key, LedgerRow) for key in "ab")
    assert tables.commit("core", partition, [Update("b", ledger(5), b.etag)])

    assert not tables.commit("core", partition, [Update("a", ledger(9), a.etag), Update("b", ledger(9), b.etag)])
    assert [s.row.revision for s in tables.scan("core", partition, ("a", "z"), LedgerRow)] == [1, 5]


def test_a_row_that_was_written_alone_can_be_written_again_by_the_etag_that_came_back(tables, partition):
    tables.commit("core", partition, [Insert("a", ledger(1))])
    first = tables.read("core", partition, "a", LedgerRow)

    etag = tables.update("core", partition, Update("a", ledger(2), first.etag))

    assert etag == tables.read("core", partition, "a", LedgerRow).etag != first.etag
    assert tables.update("core", partition, Update("a", ledger(3), first.etag)) is None
    assert tables.update("core", partition, Update("a", ledger(3), etag)) is not None
    assert tables.read("core", partition, "a", LedgerRow).row.revision == 3


def test_deleting_what_is_not_there_is_refused_although_the_sdk_would_call_it_done(tables, partition):
    tables.commit("core", partition, [Insert("a", ledger(1))])
    stored = tables.read("core", partition, "a", LedgerRow)

    assert tables.commit("core", partition, [Delete("a", stored.etag)])
    assert not tables.commit("core", partition, [Delete("a", stored.etag)])


def test_a_missing_table_is_unknown_and_never_nothing_there(cloud):
    made = connect(connection=cloud.endpoints["tables"], endpoint=None, credential=None)
    made._clients["core"] = made._clients["core"].__class__.from_connection_string(
        cloud.endpoints["tables"], "neverMade", retry_total=0
    )

    with pytest.raises(StorageUnavailable, match="no table"):
        made.read("core", "p", "k", LookupRow)


def test_storage_that_does_not_answer_is_unavailable_within_the_budget(monkeypatch):
    monkeypatch.setattr(azure_tables, "BUDGET_S", 0.2)
    nowhere = (
        "DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;AccountKey=AAAA;"
        "TableEndpoint=http://127.0.0.1:9/devstoreaccount1;"
    )
    made = connect(connection=nowhere, endpoint=None, credential=None)

    with pytest.raises(StorageUnavailable):
        made.read("core", "p", "k", LookupRow)
    with pytest.raises(StorageUnavailable):
        made.commit("core", "p", [Insert("k", LookupRow(project=ProjectId("demo")))])


def test_a_scan_of_all_partitions_finds_only_what_has_the_wanted_value(tables, partition):
    other = f"{partition}-other"
    at = datetime(2026, 11, 21, tzinfo=UTC)
    for place, settled in ((partition, True), (other, False)):
        tables.commit("core", place, [Insert(f"s-{place}", session_row(settled, at))])

    found = tables.scan_all("core", ("s-", "s."), SessionRow, where=("settled", False))

    assert [place for place, _ in found if place in (partition, other)] == [other]


def test_a_scan_of_so_many_rows_returns_the_first_of_them(tables, partition):
    assert tables.commit("core", partition, [Insert(f"k{number}", ledger(number)) for number in range(5)])

    def keys(first: str, most: int | None) -> list[str]:
        return [stored.key for stored in tables.scan("core", partition, (first, "l"), LedgerRow, most=most)]

    assert keys("k", 2) == ["k0", "k1"]
    assert keys("k1.", 2) == ["k2", "k3"]
    assert keys("k1.", None) == ["k2", "k3", "k4"]
    assert keys("k4.", 2) == []


def session_row(settled: bool, at: datetime) -> SessionRow:
    return SessionRow(
        project="demo",
        session="s" * 26,
        user="u",
        state="Ended",
        gpu_type="T4",
        image="i",
        regions=["westus3"],
        created_at=at,
        booked_at=at,
        shells=[],
        idle_timeout_s=1.0,
        max_lifetime_s=1.0,
        settled=settled,
    )


def test_a_filter_value_cannot_leave_its_place(tables, partition):
    tables.commit("core", partition, [Insert("a", ledger(1))])

    assert tables.scan("core", f"x' or PartitionKey eq '{partition}", ("a", "z"), LedgerRow) == []


def test_a_newer_versions_columns_survive_an_older_versions_write_and_are_no_trouble(tables, partition):
    tables.commit("core", partition, [Insert("a", ledger(1))])
    entity = {"PartitionKey": partition, "RowKey": "a", "invented_later": "kept"}
    tables._clients["core"].update_entity(entity, mode="merge")
    stored = tables.read("core", partition, "a", LedgerRow)

    assert tables.commit("core", partition, [Update("a", ledger(2), stored.etag)])
    assert tables._clients["core"].get_entity(partition, "a")["invented_later"] == "kept"


def test_a_row_comes_back_as_it_was_with_what_is_empty_cleared():
    at = datetime(2026, 11, 21, 1, 2, 3, 456789, tzinfo=UTC)
    row = WakeRow(session="s" * 26, why="close", created_at=at, raised_at=None)

    entity = to_entity(row)

    assert entity["raised_at"] == ""
    assert from_entity({**entity, "unknown": 1}, WakeRow) == row


def test_a_column_over_azures_limit_is_refused_here_since_azurite_would_take_it():
    with pytest.raises(RowTooLarge, match=str(LONGEST_TEXT)):
        to_entity(WakeRow(session="s" * 26, why="x" * (LONGEST_TEXT + 1), created_at=datetime(2026, 1, 1, tzinfo=UTC)))
