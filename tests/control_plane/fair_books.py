"""A project's ledger and line as its audit tells of them: who holds what, who waits, who has used how much.

By `fifo` the first to arrive comes next. By `fairShare` it is the one whose user has used least: GPU-seconds, an A100's
counted fourfold, that fade by half in every half-life, and with every admission an entry penalty at once; a user's
second waiter counts as if the first had been admitted.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

WEIGHTS = {"T4": 1.0, "A100": 4.0}
FORGOTTEN_BELOW_S, MOST_USERS = 1.0, 250
Rank = tuple[float, tuple[int, str]]
"""What the line is sorted by: the use that counts, then the arrival."""


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

    @property
    def penalty_s(self) -> float:
        return self.line["entryPenaltyMinutes"] * 60


class Books:
    """A project's ledger and line as the audit tells of them, up to some entry."""

    def __init__(self) -> None:
        self.rules: Rules | None = None
        self.held: dict[str, tuple[str, str]] = {}
        self.line: dict[str, Waiter] = {}
        self.used_s: dict[str, float] = {}
        self.at: datetime | None = None
        self.quota: dict[str, int] = {}
        self.budget_left: Decimal | None = None
        self.holds: dict[str, Decimal] = {}

    def bring_to(self, now: datetime, quota: Mapping[str, int]) -> None:
        """Let use fade and grow up to this instant; take over what quota then left."""
        self.quota = dict(quota)
        if self.at is not None and now > self.at:
            half_life_s = self.rules.line["halfLifeMinutes"] * 60
            kept = 0.5 ** ((now - self.at).total_seconds() / half_life_s)
            grown = (1 - kept) * half_life_s / math.log(2)
            users = {*self.used_s, *(user for user, _ in self.held.values())}
            self.used_s = {user: self.used_s.get(user, 0.0) * kept + self.rate(user) * grown for user in users}
            self._forget()
        self.at = max(now, self.at or now)

    def take_budget(self, told: Mapping[str, Any] | None) -> None:
        """Take over what a hard budget left just now, and what a session of each type is held for: none where none."""
        self.budget_left = Decimal(told["left"]) if told else None
        self.holds = {kind: Decimal(hold) for kind, hold in (told or {}).get("holds", {}).items()}

    def _forget(self) -> None:
        kept = [user for user, used in self.used_s.items() if self.rate(user) or used >= FORGOTTEN_BELOW_S]
        kept.sort(key=lambda user: (self.rate(user), self.used_s[user]), reverse=True)
        self.used_s = {user: self.used_s[user] for user in kept[:MOST_USERS]}

    def rate(self, user: str) -> float:
        return sum(WEIGHTS[gpu_type] for owner, gpu_type in self.held.values() if owner == user)

    def count(self, *, user: str | None = None, gpu_type: str | None = None) -> int:
        return sum(user in (None, owner) and gpu_type in (None, kind) for owner, kind in self.held.values())

    def admit(self, waiter: Waiter, gpu_type: str) -> None:
        """Let it hold a GPU of this type; the entry penalty is the same for every type."""
        self.held[waiter.session] = (waiter.user, gpu_type)
        self.used_s[waiter.user] = self.used_s.get(waiter.user, 0.0) + self.rules.penalty_s
        if gpu_type in self.quota:
            self.quota[gpu_type] -= 1
        if self.budget_left is not None:
            self.budget_left -= self.holds[gpu_type]

    def admissible(self, waiter: Waiter, now: datetime) -> bool:
        """Tell whether a place was free for this waiter."""
        rules, mine = self.rules, self.count(user=waiter.user)
        if not rules.enabled or mine >= rules.settings["maxConcurrentSessionsPerUser"] or waiter.until <= now:
            return False
        return self.count() < rules.cap and any(
            self.count(gpu_type=one) < rules.cap_of(one) and self.quota.get(one, 1) > 0 and self.bears(one)
            for one in waiter.types
        )

    def bears(self, gpu_type: str) -> bool:
        """Tell whether a hard budget bears the first slice of a session: without a price it promises nothing."""
        return self.budget_left is None or (gpu_type in self.holds and self.holds[gpu_type] <= self.budget_left)

    def ranks(self, newcomer: Waiter | None = None) -> dict[str, Rank]:
        """Return by session what the line is sorted by: the use that counts, then the arrival."""
        ranks: dict[str, Rank] = {}
        ahead_s: dict[str, float] = {}
        fair = self.rules.line["fairness"] == "fairShare"
        waiters = sorted(self.line.values(), key=lambda one: one.arrival)
        for one in [*waiters, newcomer] if newcomer else waiters:
            used_s = self.used_s.get(one.user, 0.0) + ahead_s.get(one.user, 0.0) if fair else 0.0
            ranks[one.session] = (used_s, one.arrival)
            ahead_s[one.user] = ahead_s.get(one.user, 0.0) + self.rules.penalty_s
        return ranks
