"""The audit and its seals in Azure Tables, through Azurite: sealed, verified, tampered with; no text is a filter."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta

import pytest
from azure.core.exceptions import HttpResponseError
from azure.data.tables import TableClient, TableServiceClient

from activities.publishing import drain_outbox
from activities.sealing import seal_audit
from shared.domain.events import Actor, EventType
from shared.domain.names import OUTBOX_EVENTS, ProjectId, audit_partition
from shared.domain.records import OutboxRow
from shared.domain.verification import verdict_on
from shared.ports.azure_tables import AzureTables
from shared.ports.outgoing import outbox_entry
from shared.ports.seals import digests_on, seals_since
from tests.control_plane.surroundings import START, Surroundings

pytestmark = pytest.mark.stack


@pytest.fixture
def project() -> ProjectId:
    return ProjectId(f"p-{uuid.uuid4().hex[:12]}")


class Sealed:
    """A project's audit of two closed days in real storage."""

    def __init__(self, tables: AzureTables, project: ProjectId) -> None:
        self.tables, self.project, self.now = tables, project, START
        world = Surroundings(lambda: self.now, tables).world  # type: ignore[arg-type]
        seal_audit(world, project)
        self.keys = []
        for _ in range(2):
            self.keys.append(self._happens(self.now))
            drain_outbox(world, project)
            self.now += timedelta(minutes=5)
            seal_audit(world, project)
            self.now += timedelta(days=1)
            seal_audit(world, project)

    def _happens(self, at: datetime) -> str:
        actor = Actor("a-user", "request-1", "203.0.113.9")
        data: dict[str, object] = {"before": {"x": 1.5}, "after": {"x": None}, "text": "Ü 'quoted' \" \\ 休"}
        change = outbox_entry(EventType.SETTINGS_CHANGED, "gpuSettings", data, actor, at)
        assert self.tables.commit("core", self.project, [change])
        return change.key

    def found(self) -> list[tuple[str, str]]:
        days = [START.date() + timedelta(days=number) for number in range(3)]
        present = {day: digests_on(self.tables, self.project, day) for day in days}
        verdict = verdict_on(seals_since(self.tables, self.project, START.date()), present)
        return [(finding.kind, finding.key) for finding in verdict.findings]


def test_what_storage_keeps_is_what_was_sealed_until_somebody_touches_it(cloud, tables, project):
    sealed = Sealed(tables, project)
    assert sealed.found() == []
    assert [seal.number for seal in seals_since(tables, project, START.date())] == [1, 2, 3, 4, 5]

    with TableServiceClient.from_connection_string(cloud.endpoints["tables"]) as service:
        audit = service.get_table_client("audit")
        day = audit_partition(project, START.date())
        audit.update_entity({"PartitionKey": day, "RowKey": sealed.keys[0], "actor": "somebody-else"})
        audit.delete_entity(audit_partition(project, START.date() + timedelta(days=1)), sealed.keys[1])

    assert sealed.found() == [("Altered", sealed.keys[0]), ("Removed", sealed.keys[1])]


@pytest.mark.parametrize(
    "text", ["x' or PartitionKey ne '", "x' or '1' eq '1", "x'' or 1 eq 1 or ''", "x) or (PartitionKey ge '"]
)
def test_text_that_looks_like_a_filter_finds_nothing(tables, project, text):
    change = outbox_entry(EventType.SETTINGS_CHANGED, "gpuSettings", {}, Actor("a"), START)
    assert tables.commit("core", project, [change])

    assert tables.scan("core", text, OUTBOX_EVENTS, OutboxRow) == []
    assert tables.scan("core", project, (f"o-0{text}", f"o-0{text}~"), OutboxRow) == []
    assert len(tables.scan("core", project, OUTBOX_EVENTS, OutboxRow)) == 1


@pytest.mark.parametrize("status", [403, 404])
def test_an_identity_that_may_not_make_tables_uses_those_that_are_there(tables, monkeypatch, status):
    """As where the app's role on `audit` and `seals` is to add and to read alone."""

    def refuse(_: TableClient) -> None:
        answer = HttpResponseError("no")
        answer.status_code = status
        raise answer

    monkeypatch.setattr(TableClient, "create_table", refuse)
    if status == 403:
        tables.create_tables()
    else:
        with pytest.raises(HttpResponseError):
            tables.create_tables()
