"""The waiting line of a project: who waits, and in which order they come."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from copy import copy
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from shared.domain.fairness import Shares
from shared.domain.names import SessionId, UserId, waiter_order
from shared.domain.pricing import GpuType
from shared.domain.settings import Fairness, LineSettings

Rank = tuple[float, str]
"""What the line is sorted by: use that the rule counts, then the order of arrival. The smallest comes next."""


@dataclass(frozen=True, kw_only=True)
class Waiter:
    """One session in line: what it would take (GPU types in order of preference), since when, until when."""

    session: SessionId
    user: UserId
    gpu_types: tuple[GpuType, ...]
    since: datetime
    until: datetime

    @cached_property
    def order(self) -> str:
        return waiter_order(self.since, self.session)


class Line:
    """The line as it stands at one instant, in the order of its fairness rule.

    `fifo`: by arrival. `fairShare`: by decayed use; a user's second waiter counts as if the first had been admitted,
    its entry penalty added, the third likewise. So one admission changes nobody's rank among those left behind.
    """

    def __init__(self, waiters: Sequence[Waiter], shares: Shares, settings: LineSettings) -> None:
        self._shares, self._settings = shares, settings
        self._ahead: dict[UserId, float] = {}
        self._latest: dict[UserId, str] = {}
        ranked: list[tuple[Rank, Waiter]] = []
        for waiter in sorted(waiters, key=lambda one: one.order):
            ranked.append((self.rank_of(waiter), waiter))
            self._note(waiter)
        ranked.sort(key=lambda one: one[0])
        self._ranks = [rank for rank, _ in ranked]
        self._waiters = [waiter for _, waiter in ranked]
        self._wanted = frozenset(waiter.gpu_types for waiter in waiters)

    def _note(self, waiter: Waiter) -> None:
        self._ahead[waiter.user] = self._ahead.get(waiter.user, 0.0) + self._settings.entry_penalty_minutes * 60
        self._latest[waiter.user] = waiter.order

    @property
    def wanted(self) -> frozenset[tuple[GpuType, ...]]:
        """What somebody in it waits for."""
        return self._wanted

    def __len__(self) -> int:
        return len(self._waiters)

    def __iter__(self) -> Iterator[Waiter]:
        return iter(self._waiters)

    def joined_by(self, newcomer: Waiter) -> Line:
        """Return the line with one more in it. Only who comes before others of its own user moves anybody."""
        if newcomer.order < self._latest.get(newcomer.user, ""):
            return Line([*self._waiters, newcomer], self._shares, self._settings)
        longer, rank = copy(self), self.rank_of(newcomer)
        at = bisect_left(self._ranks, rank)
        longer._ranks = [*self._ranks[:at], rank, *self._ranks[at:]]
        longer._waiters = [*self._waiters[:at], newcomer, *self._waiters[at:]]
        longer._ahead, longer._latest = dict(self._ahead), dict(self._latest)
        longer._wanted = self._wanted | {newcomer.gpu_types}
        longer._note(newcomer)
        return longer

    def under(self, shares: Shares) -> Line:
        """Return the line by these shares. Where nobody in it has used more or less, nobody moves."""
        if any(shares.of(user).used_s != self._shares.of(user).used_s for user in self._ahead):
            return Line(self._waiters, shares, self._settings)
        same = copy(self)
        same._shares = shares
        return same

    def rank_of(self, waiter: Waiter) -> Rank:
        """Return the rank that this waiter would get behind its user's others."""
        if self._settings.fairness is Fairness.FIFO:
            return (0.0, waiter.order)
        return (self._shares.of(waiter.user).used_s + self._ahead.get(waiter.user, 0.0), waiter.order)

    def place_of_newcomer(self, waiter: Waiter) -> int:
        """Return the place, from 1, that this waiter would take."""
        return bisect_left(self._ranks, self.rank_of(waiter)) + 1

    def place_of(self, session: SessionId) -> int | None:
        """Return the session's place, from 1; None where it is not in line."""
        places = (number for number, waiter in enumerate(self._waiters, start=1) if waiter.session == session)
        return next(places, None)

    def before(self, waiter: Waiter) -> list[Waiter]:
        """Return those that come before this newcomer."""
        return self._waiters[: self.place_of_newcomer(waiter) - 1]
