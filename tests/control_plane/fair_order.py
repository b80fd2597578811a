"""What a project's audit says should have happened: a plain replay of its ledger, to hold the admissions against.

Written from the rule and not from the code that carries it out, of which nothing is imported. By `fifo` the first to
arrive comes next. By `fairShare` it is the one whose user has used least: GPU-seconds, an A100's counted fourfold, that
fade by half in every half-life, and with every admission an entry penalty at once; a user's second waiter counts as if
the first had been admitted. Who cannot be admitted blocks nobody behind.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, Protocol

WEIGHTS = {"T4": 1.0, "A100": 4.0}
FORGOTTEN_BELOW_S, MOST_USERS = 1.0, 250
UNSURE_BELOW_S = 0.05
"""Uses that differ by less may have been ranked either way: stored ones are rounded. Equal ones go by arrival."""
TRANSACTION_IS_FULL = 15
"""Promotions in one write after which the next write may have to do the rest."""


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


@dataclass(frozen=True)
class Waiter:
    session: str
    user: str
    types: list[str]
    until: datetime
    arrival: tuple[int, str]


@dataclass
class Rules:
    """The settings as admission goes by them."""

    settings: Mapping[str, Any]
    bounds: Mapping[str, Any] = field(default_factory=dict)

    @property
    def enabled(self) -> bool:
        own = self.settings["serverlessGpuSessionsSettings"]["serverlessGpuSessionsMode"]
        return own == "AutoDeploy" and self.bounds.get("serverlessGpuSessionsMode") != "Disabled"

    @property
    def cap(self) -> int:
        own = self.settings["serverlessGpuSessionsSettings"]["maxConcurrentSessionsPerProject"]
        bound = self.bounds.get("maxConcurrentSessionsPerProject")
        return own if bound is None else min(own, bound)

    def cap_of(self, gpu_type: str) -> int:
        caps = {one["type"]: one["maxConcurrent"] for one in self.settings["gpuTypes"]}
        return 0 if gpu_type not in caps else self.cap if caps[gpu_type] is None else caps[gpu_type]

    @property
    def line(self) -> Mapping[str, Any]:
        return self.settings["line"]

    def penalty_s(self, gpu_type: str) -> float:
        return self.line["entryPenaltyMinutes"] * 60 * WEIGHTS[gpu_type]


class Books:
    """A project's ledger and line as the audit tells of them, up to some entry."""

    def __init__(self) -> None:
        self.rules: Rules | None = None
        self.held: dict[str, tuple[str, str]] = {}
        self.line: dict[str, Waiter] = {}
        self.used_s: dict[str, float] = {}
        self.at: datetime | None = None
        self.month, self.spent = "", Decimal(0)
        self.quota: dict[str, int] = {}

    def bring_to(self, now: datetime, quota: Mapping[str, int]) -> None:
        """Let use fade and grow up to this instant, and begin a new month with nothing spent."""
        self.quota = dict(quota)
        if self.month != f"{now:%Y-%m}":
            self.month, self.spent = f"{now:%Y-%m}", Decimal(0)
        if self.at is not None and now > self.at:
            half_life_s = self.rules.line["halfLifeMinutes"] * 60
            kept = 0.5 ** ((now - self.at).total_seconds() / half_life_s)
            grown = (1 - kept) * half_life_s / math.log(2)
            users = {*self.used_s, *(user for user, _ in self.held.values())}
            self.used_s = {user: self.used_s.get(user, 0.0) * kept + self.rate(user) * grown for user in users}
            self._forget()
        self.at = max(now, self.at or now)

    def _forget(self) -> None:
        kept = [user for user, used in self.used_s.items() if self.rate(user) or used >= FORGOTTEN_BELOW_S]
        kept.sort(key=lambda user: (self.rate(user), self.used_s[user]), reverse=True)
        self.used_s = {user: self.used_s[user] for user in kept[:MOST_USERS]}

    def rate(self, user: str) -> float:
        return sum(WEIGHTS[gpu_type] for owner, gpu_type in self.held.values() if owner == user)

    def count(self, *, user: str | None = None, gpu_type: str | None = None) -> int:
        return sum(user in (None, owner) and gpu_type in (None, kind) for owner, kind in self.held.values())

    def admit(self, session: str, user: str, gpu_type: str) -> None:
        self.held[session] = (user, gpu_type)
        self.used_s[user] = self.used_s.get(user, 0.0) + self.rules.penalty_s(gpu_type)
        if gpu_type in self.quota:
            self.quota[gpu_type] -= 1

    def admissible(self, waiter: Waiter, now: datetime) -> bool:
        """Tell whether a place was free for this waiter."""
        rules, budget = self.rules, self.rules.settings["budget"]
        broke = budget is not None and budget["hardStop"] and self.spent >= Decimal(budget["monthlyAmount"])
        mine = self.count(user=waiter.user)
        if not rules.enabled or broke or mine >= rules.settings["maxConcurrentSessionsPerUser"] or waiter.until <= now:
            return False
        return self.count() < rules.cap and any(
            self.count(gpu_type=one) < rules.cap_of(one) and self.quota.get(one, 1) > 0 for one in waiter.types
        )

    def ranks(self, newcomer: Waiter | None = None) -> dict[str, tuple[float, tuple[int, str]]]:
        """Return by session what the line is sorted by: the use that counts, then the arrival."""
        ranks: dict[str, tuple[float, tuple[int, str]]] = {}
        ahead_s: dict[str, float] = {}
        fair = self.rules.line["fairness"] == "fairShare"
        waiters = sorted(self.line.values(), key=lambda one: one.arrival)
        for one in [*waiters, newcomer] if newcomer else waiters:
            used_s = self.used_s.get(one.user, 0.0) + ahead_s.get(one.user, 0.0) if fair else 0.0
            ranks[one.session] = (used_s, one.arrival)
            ahead_s[one.user] = ahead_s.get(one.user, 0.0) + self.rules.penalty_s(one.types[0])
        return ranks


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
            else:
                yield from self._write(revision, entries)

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
        ranks: dict[str, tuple[float, tuple[int, str]]] | None = None
        promoted = 0
        for entry in entries:
            session = entry.data["session"]
            if entry.data["state"] == "Provisioning" and session not in books.held:
                if session in books.line:  # promotions follow the requests, in the order that the line then has
                    ranks, promoted = ranks or books.ranks(), promoted + 1
                left = [one for one in books.line.values() if one.session not in gone and not self._leaves(one, now)]
                yield from self._admission(revision, entry, left, ranks, now)
            else:
                yield from self._other(revision, entry)
        if promoted < TRANSACTION_IS_FULL:
            for one in books.line.values():
                if one.session not in fresh and not self._leaves(one, now) and books.admissible(one, now):
                    yield Violation("I22", revision, f"{one.session} of {one.user} waits on beside a free place")

    def _admission(
        self,
        revision: int,
        entry: Entry,
        left: list[Waiter],
        ranks: dict[str, tuple[float, tuple[int, str]]] | None,
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
        books.admit(session, user, gpu_type)

    def _against(self, revision: int, user: str, gpu_type: str) -> Iterator[tuple[str, int, str]]:
        books, rules = self._books, self._books.rules
        if not rules.enabled:
            yield "I15", revision, f"{user} was admitted although the project was disabled"
        if books.count() >= rules.cap:
            yield "I1", revision, f"more reserved than the project's cap of {rules.cap}"
        if books.count(gpu_type=gpu_type) >= rules.cap_of(gpu_type):
            yield "I1", revision, f"more {gpu_type} reserved than their cap of {rules.cap_of(gpu_type)}"
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
        elif session in books.held:
            del books.held[session]
            books.spent += Decimal(told.get("cost", {}).get("amount", 0))
        elif books.line.pop(session, None) is None and told["endReason"] != "Refused":
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


def _surely_before(one: tuple[float, tuple[int, str]], other: tuple[float, tuple[int, str]]) -> bool:
    if one[0] == other[0]:
        return one[1] < other[1]
    return one[0] < other[0] - UNSURE_BELOW_S
