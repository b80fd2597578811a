"""What the tables of a local cloud tell of project `demo`, read past the app with the vendor's SDK."""

from __future__ import annotations

import json
from typing import Any

from azure.data.tables import TableServiceClient

ADMITTED, ENDED = "DevBoxGpu.Session.Provisioning", "DevBoxGpu.Session.Ended"


class LedgerHistory:
    """Rows of one storage account."""

    def __init__(self, connection: str) -> None:
        self._connection = connection

    def revision(self) -> int:
        """Return how often the ledger has been written."""
        (row,) = self._rows("core", "PartitionKey eq 'demo' and RowKey eq 'q'")
        return int(row["revision"])

    def sessions(self) -> list[dict[str, Any]]:
        return self._rows("core", "PartitionKey eq 'demo' and RowKey ge 's-' and RowKey lt 's.'")

    def is_told(self) -> bool:
        """Tell whether the audit has everything: nothing waits in the outbox."""
        return not self._rows("core", "PartitionKey eq 'demo' and RowKey ge 'o-0' and RowKey lt 'o-:'")

    def changes(self) -> list[dict[str, Any]]:
        """Return admissions and ends with their place in the ledger's history (`ledgerAt` and so on), in its order."""
        rows = self._rows("audit", "PartitionKey ge 'demo~' and PartitionKey lt 'demo~~'")
        told = [{**json.loads(row["data"]), "type": row["event_type"]} for row in rows]
        found = [one for one in told if one["type"] in (ADMITTED, ENDED) and "ledgerRevision" in one]
        return sorted(found, key=lambda one: (one["ledgerRevision"], one["ledgerIndex"]))

    def _rows(self, table: str, where: str) -> list[dict[str, Any]]:
        with TableServiceClient.from_connection_string(self._connection) as service:
            return [dict(row) for row in service.get_table_client(table).query_entities(where)]
