"""The waiting line of a project: who waits, and in which order they come."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from shared.domain.fairness import Shares
from shared.domain.names import SessionId, UserId, waiter_order
from shared.domain.pricing import GpuType
from shared.domain.settings import Fairness, LineSettings

Rank = tuple[float, str]
"""What the line is sorted by: use that the rule counts, then the order of arrival. The smallest comes next."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiter:
    """One session in line: what it would take (GPU types in order of preference), since when, until when."""

    session: SessionId
    user: UserId
    gpu_types: tuple[GpuType, ...]
    since: datetime
    until: datetime

    @property
    def order(self) -> str:
        return waiter_order(self.since, self.session)


class Line:
    """The line as it stands at one instant, in the order of its fairness rule.

    `fifo`: by arrival. `fairShare`: by decayed use; a user's second waiter counts as if the first had been admitted,
    its entry penalty added, the third likewise. So one admission changes nobody's rank among those left behind.
    """

    def __init__(self, waiters: Sequence[Waiter], shares: Shares, settings: LineSettings) -> None:
        self._shares, self._settings = shares, settings
        self._ahead: defaultdict[str, float] = defaultdict(float)
        ranked: list[tuple[Rank, Waiter]] = []
        for waiter in sorted(waiters, key=lambda one: one.order):
            ranked.append((self.rank_of(waiter), waiter))
            self._ahead[waiter.user] += settings.entry_penalty_minutes * 60
        ranked.sort(key=lambda one: one[0])
        self._ranks = [rank for rank, _ in ranked]
        self._waiters = [waiter for _, waiter in ranked]

    def __len__(self) -> int:
        return len(self._waiters)

    def __iter__(self) -> Iterator[Waiter]:
        return iter(self._waiters)

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
