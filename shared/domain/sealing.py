"""The audit's seals: what a seal says, and what seals and entries together tell of tampering.

Entries are made by many processes, in no order that could be chained. So the sweep seals what is there: a seal lists
the digests of entries of one day and names the hash of the seal before it. Whoever alters or removes an entry
contradicts its seal; whoever alters or removes a seal contradicts the next one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import date, datetime, timedelta
from typing import Any

import msgspec

from shared.domain.records import Row

ENTRIES_A_SEAL = 250
"""So many keys with their digests fit into one column (32,000 characters: reliability.md 3.1)."""
SETTLES = timedelta(minutes=2)
"""Entries younger than this are not sealed yet: others of the same time may still be on their way."""
CLOSES_AFTER = timedelta(hours=1)
"""How long after its midnight a day is closed."""
LOOK_BACK = timedelta(days=7)
"""For how long entries that come after their day was closed are still sealed, as late."""


class SealedEntry(Row, frozen=True, kw_only=True):
    """An entry of the audit as storage has it, whatever somebody has made of its columns: nothing in it is read."""

    v: Any = 0
    op: Any = ""
    event_type: Any = ""
    subject: Any = ""
    at: Any = ""
    data: Any = ""
    actor: Any = ""
    request: Any = ""
    source: Any = ""
    seq: Any = 0


class SealRow(Row, frozen=True, kw_only=True):
    """One seal. It seals `entries` of one UTC day; the next one goes on in `next_day` behind `next_key`.

    Days before `next_day` are closed. `before` is the hash of the seal with the number before, empty in the first.
    """

    number: int
    before: str
    day: date
    sealed_at: datetime
    entries: dict[str, str] = msgspec.field(default_factory=dict)
    next_day: date
    next_key: str = ""
    hash: str = ""

    def hashed(self) -> SealRow:
        return msgspec.structs.replace(self, hash=self.own_hash())

    def own_hash(self) -> str:
        """Return the hash of all that the seal says."""
        said = ["seal-1", self.number, self.before, self.day, self.sealed_at, self.next_day, self.next_key]
        return _digest([*said, self.entries])


def digest_of(key: str, row: SealedEntry) -> str:
    """Return the digest of an entry: of what it tells, not of how far its event has got.

    What it covers is written out: a field that a later version adds needs a digest of a new name.
    """
    told = ["entry-1", key, row.event_type, row.subject, row.at, row.data, row.actor, row.request, row.source, row.seq]
    return _digest(told)


def _digest(told: list[object]) -> str:
    return hashlib.sha256(msgspec.json.encode(told, order="sorted")).hexdigest()


def first_seal(day: date, now: datetime) -> SealRow:
    """Return what a chain begins with: everything before this day is unsealed for good."""
    return SealRow(number=1, before="", day=day, sealed_at=now, next_day=day).hashed()


def next_seal(last: SealRow, entries: dict[str, str], day: date, now: datetime) -> SealRow:
    """Return the seal of these entries. Where they are of the open day, it goes on behind the last of them."""
    goes_on = day == last.next_day and bool(entries) and max(entries) > last.next_key
    return SealRow(
        number=last.number + 1,
        before=last.hash,
        day=day,
        sealed_at=now,
        entries=entries,
        next_day=last.next_day,
        next_key=max(entries) if goes_on else last.next_key,
    ).hashed()


def closing_seal(last: SealRow, now: datetime) -> SealRow:
    """Return the seal that closes the open day."""
    seal = next_seal(last, {}, last.next_day, now)
    return msgspec.structs.replace(seal, next_day=last.next_day + timedelta(days=1), next_key="").hashed()


def may_close(last: SealRow, now: datetime) -> bool:
    """Tell whether the open day has been over for so long that it can be closed."""
    return (now - CLOSES_AFTER).date() > last.next_day


def covered_in(seals: Iterable[SealRow]) -> dict[date, dict[str, str]]:
    """Return what is sealed: digests by key, by day."""
    covered: dict[date, dict[str, str]] = {}
    for seal in seals:
        covered.setdefault(seal.day, {}).update(seal.entries)
    return covered
