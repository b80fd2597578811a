"""The order in which admissions happened, read from the audit: each carries its place in the ledger's history."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tests.e2e.running_stack import RunningStack
from tests.e2e.waiting import until

STATES = ("Waiting", "Provisioning", "Ended")


@dataclass(frozen=True, order=True)
class LedgerChange:
    """A session has joined the line, got its place or ended: at this place of the ledger's history."""

    revision: int
    index: int
    session: str
    state: str
    at: str


def ledger_changes(stack: RunningStack, sessions: set[str]) -> list[LedgerChange]:
    """Return what became of these sessions at the ledger, in its order, once the audit has all of it."""
    until(lambda: not stack.rows("o-0", "o-:"), "the outbox to be drained")
    return sorted(_changes(stack.table("audit", "PartitionKey ge 'demo~' and PartitionKey lt 'demo~~'"), sessions))


def _changes(rows: list[dict[str, Any]], sessions: set[str]) -> Iterator[LedgerChange]:
    for row in rows:
        told = json.loads(row["data"])
        if told.get("session") in sessions and "ledgerRevision" in told and told["state"] in STATES:
            place = (told["ledgerRevision"], told["ledgerIndex"])
            yield LedgerChange(*place, told["session"], told["state"], told["ledgerAt"])


def out_of_turn(changes: list[LedgerChange], arrival: dict[str, str]) -> list[str]:
    """Return who was admitted while somebody stood in line that had come before: nobody, where the rule is `fifo`.

    `arrival` sorts sessions by their arrival. Only for sessions that want the same and are at no limit of their own.
    """
    line: set[str] = set()
    found = []
    for change in changes:
        line.discard(change.session)
        if change.state == "Waiting":
            line.add(change.session)
        if change.state == "Provisioning":
            passed = [one for one in line if arrival[one] < arrival[change.session]]
            found += [f"{change.session} before {', '.join(passed)}"] if passed else []
    return found
