"""Tables on Azure Table Storage, or on Azurite, which speaks the same protocol.

A return code is never believed (reliability.md 3.3): every row that is written carries the `op` of its commit, and
after any doubtful answer the rows are read again. The SDK's own retries are off, since they turn an own success into
a conflict.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from http import HTTPStatus
from itertools import islice
from typing import Any, TypeVar

import msgspec
import requests
from azure.core import MatchConditions
from azure.core.exceptions import (
    HttpResponseError,
    ResourceExistsError,
    ResourceNotFoundError,
    ServiceRequestError,
    ServiceResponseError,
)
from azure.core.pipeline.transport import RequestsTransport
from azure.data.tables import TableClient, TableServiceClient, UpdateMode

from shared.domain.records import Row
from shared.ports import ids
from shared.ports.clock import elapsed_s, wait
from shared.ports.rows import from_entity, new_entity, to_entity
from shared.ports.tables import LARGEST_TRANSACTION, TABLES, Change, Delete, Insert, StorageUnavailable, Stored, Update

R = TypeVar("R", bound=Row)
T = TypeVar("T")
BUDGET_S = 8.0
"""How long one call may try: an activity must end within 10 s so that an orderly stop drains it."""
CONNECTIONS = 64
TROUBLE = (ServiceRequestError, ServiceResponseError, HttpResponseError)


class AzureTables:
    """The tables of one storage account. Safe to use from many threads."""

    def __init__(self, service: TableServiceClient) -> None:
        self._clients: dict[str, TableClient] = {name: service.get_table_client(name) for name in TABLES}

    def create_tables(self) -> None:
        """Make sure that every table is there."""
        for client in self._clients.values():
            _patiently(partial(_create, client))

    def read(self, table: str, partition: str, key: str, kind: type[R]) -> Stored[R] | None:
        return _patiently(lambda: self._read(table, partition, key, kind))

    def scan(
        self, table: str, partition: str, keys: tuple[str, str], kind: type[R], *, most: int | None = None
    ) -> list[Stored[R]]:
        where = "PartitionKey eq @partition and RowKey ge @first and RowKey lt @end"
        values = {"partition": partition, "first": keys[0], "end": keys[1]}
        return [stored for _, stored in _patiently(lambda: self._query(table, where, values, kind, most))]

    def scan_all(
        self, table: str, keys: tuple[str, str], kind: type[R], *, where: tuple[str, bool] | None = None
    ) -> list[tuple[str, Stored[R]]]:
        condition, values = "RowKey ge @first and RowKey lt @end", dict[str, Any](first=keys[0], end=keys[1])
        if where is not None and where[0] in kind.__struct_fields__:
            condition += f" and {where[0]} eq @wanted"
            values["wanted"] = where[1]
        return _patiently(lambda: self._query(table, condition, values, kind))

    def commit(self, table: str, partition: str, changes: Sequence[Change]) -> bool:
        return self._carry_out(table, partition, changes) is not None

    def update(self, table: str, partition: str, change: Update) -> str | None:
        return self._carry_out(table, partition, [change])

    def _carry_out(self, table: str, partition: str, changes: Sequence[Change]) -> str | None:
        """Carry out all changes or none; return the ETag of a change that is alone, None where a row had changed."""
        if len(changes) > LARGEST_TRANSACTION:
            msg = f"{len(changes)} changes in one transaction; {LARGEST_TRANSACTION} are the limit"
            raise ValueError(msg)
        op = ids.new_op()
        operations = [_operation(partition, change, op) for change in changes]
        witness = next((change for change in changes if not isinstance(change, Delete)), None)
        deadline_s, attempt = elapsed_s() + BUDGET_S, 0
        while True:
            try:
                return self._submit(table, operations)
            except TROUBLE as error:
                refused = _is_refusal(error)
                if (attempt or not refused) and (etag := self._happened(table, partition, witness, op)) is not None:
                    return etag
                if refused:
                    return None
                if elapsed_s() > deadline_s:
                    raise StorageUnavailable(f"table {table} did not answer: {error}") from error
            wait(ids.full_jitter_s(attempt, base_s=0.05))
            attempt += 1

    def _happened(self, table: str, partition: str, witness: Insert | Update | None, op: str) -> str | None:
        """Return the row's ETag where the commit of this op was applied although its reply was lost, else None."""
        if witness is None:
            return None
        stored = self.read(table, partition, witness.key, type(witness.row))
        return stored.etag if stored is not None and stored.row.op == op else None

    def _submit(self, table: str, operations: list[tuple[Any, ...]]) -> str:
        """Send the operations; return the ETag of one that is alone, empty where there is none or there are many."""
        client = self._clients[table]
        verb, entity, *rest = operations[0]
        if len(operations) > 1 or verb == "delete":  # delete_entity answers OK even where there was nothing
            client.submit_transaction(operations)
            return ""
        written = client.create_entity(entity) if verb == "create" else client.update_entity(entity, **rest[0])
        return str(written["etag"])

    def _read(self, table: str, partition: str, key: str, kind: type[R]) -> Stored[R] | None:
        try:
            entity = self._clients[table].get_entity(partition, key)
        except ResourceNotFoundError as error:
            if _table_is_missing(error):
                raise StorageUnavailable(f"there is no table {table}") from error
            return None
        return Stored(key, from_entity(entity, kind), str(entity.metadata["etag"]))

    def _query(
        self, table: str, where: str, values: dict[str, Any], kind: type[R], most: int | None = None
    ) -> list[tuple[str, Stored[R]]]:
        found = self._clients[table].query_entities(
            where, parameters=values, results_per_page=most, select=["PartitionKey", "RowKey", *kind.__struct_fields__]
        )
        return [
            (entity["PartitionKey"], Stored(entity["RowKey"], from_entity(entity, kind), str(entity.metadata["etag"])))
            for entity in islice(found, most)
        ]


def connect(*, connection: str | None, endpoint: str | None, credential: Any) -> AzureTables:
    """Return the tables behind a connection string (the emulator) or an endpoint with our identity (Azure)."""
    session = requests.Session()
    session.trust_env = False  # no netrc and no proxy on the way to our own storage: read anew for every call, it shows
    for scheme in ("http://", "https://"):
        session.mount(scheme, requests.adapters.HTTPAdapter(pool_maxsize=CONNECTIONS))
    options: dict[str, Any] = {
        "transport": RequestsTransport(session=session, session_owner=False),
        "retry_total": 0,
        "connection_timeout": 3,
        "read_timeout": 5,
        "logging_enable": False,
    }
    if connection:
        return AzureTables(TableServiceClient.from_connection_string(connection, **options))
    if not endpoint:
        msg = "neither a connection string nor an endpoint of the tables is set"
        raise ValueError(msg)
    return AzureTables(TableServiceClient(endpoint, credential=credential, **options))


def _operation(partition: str, change: Change, op: str) -> tuple[Any, ...]:
    keys = {"PartitionKey": partition, "RowKey": change.key}
    match change:
        case Insert(row=row):
            return ("create", {**keys, **new_entity(msgspec.structs.replace(row, op=op))})
        case Update(row=row, etag=etag):
            entity = {**keys, **to_entity(msgspec.structs.replace(row, op=op))}
            guard = {"mode": UpdateMode.MERGE, "etag": etag, "match_condition": MatchConditions.IfNotModified}
            return ("update", entity, guard)
        case Delete(etag=etag):
            return ("delete", keys, {"etag": etag, "match_condition": MatchConditions.IfNotModified})


def _create(client: TableClient) -> None:
    """Make the table unless it is there. An identity that may not make tables finds those that the deployment made."""
    try:
        client.create_table()
    except ResourceExistsError:
        return
    except HttpResponseError as error:
        if error.status_code != HTTPStatus.FORBIDDEN:
            raise


def _is_refusal(error: Exception) -> bool:
    """Tell whether storage said clearly that a row was not as it was read: 404, 409 or 412."""
    clear = isinstance(error, HttpResponseError) and error.status_code in (404, 409, 412)
    return clear and not _table_is_missing(error)


def _table_is_missing(error: Exception) -> bool:
    return str(getattr(error, "error_code", "")).endswith("TableNotFound") or "TableNotFound" in str(error)


def _patiently(ask: Callable[[], T]) -> T:
    """Return the answer to a question that may be asked again; raise StorageUnavailable when none comes in time."""
    deadline_s, attempt = elapsed_s() + BUDGET_S, 0
    while True:
        try:
            return ask()
        except TROUBLE as error:
            status = getattr(error, "status_code", None)
            hopeless = status is not None and status < 500 and status not in (408, 429)
            if hopeless:
                raise
            if elapsed_s() > deadline_s:
                raise StorageUnavailable(f"table storage did not answer: {error}") from error
        wait(ids.full_jitter_s(attempt, base_s=0.05))
        attempt += 1
