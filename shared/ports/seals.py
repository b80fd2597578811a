"""The chain of seals of a project in storage: found newest first, added to by whoever comes first."""

from __future__ import annotations

from datetime import date

from shared.domain import names
from shared.domain.names import ProjectId
from shared.domain.sealing import SealedEntry, SealRow, digest_of
from shared.ports.tables import Insert, Tables

SEALS = "seals"
PAGE = 100


def newest_seal(tables: Tables, project: ProjectId) -> SealRow | None:
    found = tables.scan(SEALS, project, names.ALL_SEALS, SealRow, most=1)
    return found[0].row if found else None


def seals_since(tables: Tables, project: ProjectId, day: date) -> list[SealRow]:
    """Return all seals that may tell of this day or later ones, in the order of their numbers.

    The first of them is the one before, where there is one: with it the chain is seen to go on.
    """
    seals: list[SealRow] = []
    keys = names.ALL_SEALS
    while True:
        page = tables.scan(SEALS, project, keys, SealRow, most=PAGE)
        for stored in page:
            seals.append(stored.row)
            if stored.row.next_day < day:
                return seals[::-1]
        if len(page) < PAGE:
            return seals[::-1]
        keys = (f"{page[-1].key} ", keys[1])


def add_seal(tables: Tables, project: ProjectId, seal: SealRow) -> bool:
    """Add a seal to the chain; False where another process has added one of that number."""
    return tables.commit(SEALS, project, [Insert(names.seal_key(seal.number), seal)])


def digests_on(tables: Tables, project: ProjectId, day: date) -> dict[str, str]:
    """Return the digests of all entries that the audit has of this day, by key."""
    found = tables.scan("audit", names.audit_partition(project, day), names.OUTBOX_EVENTS, SealedEntry)
    return {stored.key: digest_of(stored.key, stored.row) for stored in found}
