"""What a project's audit says should have happened: a plain replay of its ledger, to hold the admissions against.

Written from the rule (fair_books.py) and not from the code that carries it out, of which nothing is imported. Whoever
could have been admitted comes in the rule's order; who cannot be admitted blocks nobody behind.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from tests.control_plane.fair_books import Books, Rank, Rules, Waiter

UNSURE_BELOW_S = 0.05
"""Uses that differ by less may have been ranked either way: stored ones are rounded. Equal ones go by arrival."""
ROWS, ROWS_A_REQUEST, ROWS_A_PROMOTION = 98, 5, 4
"""What one write has room for beside the ledger's own row; where it is full, the next write does the rest."""


class Entry(Protocol):
    """An outbox or audit row."""

    event_type: str
    at: datetime
    data: dict[str, Any]


@dataclass(frozen=True)
class Violation:
    """A broken invariant: which, at which write of the ledger, and how."""

    invariant: str
    revision: int
    what: str

    def __str__(self) -> str:
        return f"{self.invariant} at ledger write {self.revision}: {self.what}"


def violations(entries: Iterable[Entry]) -> list[Violation]:
    """Return all that went against the invariants in the ledger of one project, by all that its audit holds."""
    replay = _Replay(list(entries))
    return list(replay.run())


class _Replay:
    def __init__(self, entries: list[Entry]) -> None:
        self._books = Books()
        self._arrived = {one.data["session"]: one for one in entries if one.event_type.endswith("Session.Requested")}
        self._leaving: dict[str, datetime] = {}
        self._writes: dict[int, list[Entry]] = {}
        for entry in sorted(entries, key=lambda one: one.at):
            if _asks_to_leave(entry):
                self._leaving.setdefault(entry.data["session"], entry.at)
            if "ledgerRevision" in entry.data:
                self._writes.setdefault(entry.data["ledgerRevision"], []).append(entry)

    def run(self) -> Iterator[Violation]:
        for number, revision in enumerate(sorted(self._writes), start=1):
            if number == 1 and revision != 1:
                yield Violation("I13", revision, "the audit does not begin with the first write of the ledger")
            if number > 1 and revision - 1 not in self._writes:
                yield Violation("I13", revision, "the write of the ledger before this one is in no audit entry")
            entries = sorted(self._writes[revision], key=lambda one: one.data.get("ledgerIndex", 0))
            if entries[0].event_type.endswith("SettingsChanged"):
                self._change(entries[0].data)
            elif changes := [one for one in entries if "session" in one.data]:  # none: a sweep set the counts right
                yield from self._write(revision, changes)

    def _change(self, told: Mapping[str, Any]) -> None:
        books = self._books
        if "bounds" in told:
            books.rules = Rules(books.rules.settings, told["bounds"])
        else:
            books.rules = Rules(told["after"], books.rules.bounds if books.rules else {})

    def _write(self, revision: int, entries: list[Entry]) -> Iterator[Violation]:
        books, now = self._books, datetime.fromisoformat(entries[0].data["ledgerAt"])
        books.bring_to(now, entries[0].data["quota"])
        gone = {one.data["session"] for one in entries}
        fresh = {one.data["session"] for one in entries if one.data["state"] == "Waiting"}
        ranks: dict[str, Rank] | None = None
        promoted = 0
        for entry in entries:
            session = entry.data["session"]
            if not promoted:  # all promotions begin with what the requests before them have left
                books.take_budget(entry.data.get("budget"))
            if entry.data["state"] == "Provisioning" and session not in books.held:
                if session in books.line:  # promotions follow the requests, in the order that the line then has
                    ranks, promoted = ranks or books.ranks(), promoted + 1
                left = [one for one in books.line.values() if one.session not in gone and not self._leaves(one, now)]
                yield from self._admission(revision, entry, left, ranks, now)
            else:
                yield from self._other(revision, entry)
        if books.budget_left is not None and entries[-1].data["state"] in ("Ended", "Provisioning") and not promoted:
            return  # what it has given back to the budget, or taken for another type, is told with the next write
        if promoted < (ROWS - ROWS_A_REQUEST * (len(entries) - promoted)) // ROWS_A_PROMOTION:
            for one in books.line.values():
                if one.session not in fresh and not self._leaves(one, now) and books.admissible(one, now):
                    yield Violation("I22", revision, f"{one.session} of {one.user} waits on beside a free place")

    def _admission(
        self,
        revision: int,
        entry: Entry,
        left: list[Waiter],
        ranks: dict[str, Rank] | None,
        now: datetime,
    ) -> Iterator[Violation]:
        """Yield what speaks against an admission, then carry it out. `left`: who is left behind in line by it."""
        books, told = self._books, entry.data
        session, user, gpu_type = told["session"], told["user"], told["gpuType"]
        one = books.line.pop(session, None) or self._newcomer(session)
        order = ranks or books.ranks(newcomer=one)
        for other in left:
            if books.admissible(other, now) and _surely_before(order[other.session], order[session]):
                yield Violation("I21", revision, f"{session} of {user} passed {other.session} of {other.user}")
        yield from (Violation(*why) for why in self._against(revision, user, gpu_type))
        books.admit(one, gpu_type)

    def _against(self, revision: int, user: str, gpu_type: str) -> Iterator[tuple[str, int, str]]:
        books, rules = self._books, self._books.rules
        if not rules.enabled:
            yield "I15", revision, f"{user} was admitted although the project was disabled"
        if books.count() >= rules.cap:
            yield "I1", revision, f"more reserved than the project's cap of {rules.cap}"
        if books.count(gpu_type=gpu_type) >= rules.cap_of(gpu_type):
            yield "I1", revision, f"more {gpu_type} reserved than their cap of {rules.cap_of(gpu_type)}"
        if not books.bears(gpu_type):
            yield "I16", revision, f"{user} was admitted although the budget does not bear a {gpu_type}"
        if books.count(user=user) >= (own_cap := rules.settings["maxConcurrentSessionsPerUser"]):
            yield "I1", revision, f"more reserved by {user} than a user's cap of {own_cap}"

    def _other(self, revision: int, entry: Entry) -> Iterator[Violation]:
        """Carry out what is no admission: somebody joins or leaves the line, gives a GPU back, changes its type."""
        books, told, session = self._books, entry.data, entry.data["session"]
        if told["state"] == "Waiting":
            books.line[session] = self._newcomer(session)
        elif told["state"] == "Provisioning":
            user, gpu_type = told["user"], told["gpuType"]
            before = books.held.pop(session)[1]
            full = before != gpu_type and books.count(gpu_type=gpu_type) >= books.rules.cap_of(gpu_type)
            if full:
                yield Violation("I1", revision, f"more {gpu_type} reserved than their cap, by going on to another type")
            books.held[session] = (user, gpu_type)
        elif told["state"] == "Ended" and session in books.held:
            del books.held[session]
        elif told["state"] == "Ended" and books.line.pop(session, None) is None and told["endReason"] != "Refused":
            yield Violation("I4", revision, f"{session} gave back what it did not have: {told['endReason']}")

    def _newcomer(self, session: str) -> Waiter:
        asked = self._arrived[session]
        arrival = (int(asked.at.timestamp() * 1000), session)
        until = datetime.fromisoformat(asked.data["waitUntil"])
        return Waiter(session, asked.data["user"], asked.data["gpuTypes"], until, arrival)

    def _leaves(self, waiter: Waiter, now: datetime) -> bool:
        """Tell whether the session had been told to end, or was at this instant: then it may be passed over."""
        return waiter.session in self._leaving and self._leaving[waiter.session] <= now


def _asks_to_leave(entry: Entry) -> bool:
    closed = entry.event_type.endswith("Shell.Closed") and entry.data["openShells"] == 0
    return closed or entry.event_type.endswith("Session.StopRequested")


def _surely_before(one: Rank, other: Rank) -> bool:
    if one[0] == other[0]:
        return one[1] < other[1]
    return one[0] < other[0] - UNSURE_BELOW_S
