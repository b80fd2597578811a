"""Shells' rows as this process has last written them: a renewal of a lease then needs no read before its write.

Safe, since the write is conditional: where anybody has written the row since, it is refused and the row read anew.
"""

from __future__ import annotations

from collections import OrderedDict

from shared.domain.names import ProjectId, ShellId, UserId
from shared.domain.records import ShellRow
from shared.ports.tables import Stored, Tables, Update

REMEMBERED = 10_000
"""Shells whose rows are kept in memory; the one that was renewed longest ago is let go first."""

Place = tuple[ProjectId, UserId, ShellId]


class ShellRows:
    """The rows of shells that are being renewed. Safe to use from many threads."""

    def __init__(self, tables: Tables, table: str) -> None:
        self._tables, self._table = tables, table
        self._known: OrderedDict[Place, Stored[ShellRow]] = OrderedDict()

    def last_written(self, project: ProjectId, user: UserId, shell: ShellId) -> Stored[ShellRow] | None:
        """Return the row as `rewrite` has left it, None where that is not known."""
        return self._known.get((project, user, shell))

    def rewrite(self, stored: Stored[ShellRow], row: ShellRow) -> bool:
        """Write the row; False where it is not any more as it was read or last written: then it is forgotten."""
        place = (row.project, row.user, row.shell)
        self._known.pop(place, None)
        etag = self._tables.update(self._table, row.project, Update(stored.key, row, stored.etag))
        if etag is None:
            return False
        self._known[place] = Stored(stored.key, row, etag)
        if len(self._known) > REMEMBERED:
            self._known.popitem(last=False)
        return True
