"""The waiting line of a replay: the line itself, ranked only where its order is asked for."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from datetime import datetime, timedelta
from functools import cached_property

from shared.domain.fairness import Shares
from shared.domain.line import Line, Rank, Waiter
from shared.domain.names import SessionId, UserId
from shared.domain.pricing import GpuType
from shared.domain.settings import Fairness, LineSettings


class Usage:
    """Use that fairness counts, kept by user, each as of that user's last change.

    It decays alike in one step or in many: so it is brought up to date for those only whose turn is in question.
    `counts`: whether the rule of fairness goes by use at all.
    """

    def __init__(self, settings: LineSettings) -> None:
        self._half_life = timedelta(minutes=settings.half_life_minutes)
        self.counts = settings.fairness is Fairness.FAIR_SHARE
        self._by_user: dict[UserId, Shares] = {}

    def at(self, now: datetime, users: Iterable[UserId]) -> Shares:
        """Return the use of these users as of now; none where the rule does not go by it."""
        known = ((user, self._by_user.get(user)) for user in users) if self.counts else ()
        return Shares(
            at=now,
            by_user={
                user: shares.brought_to(now, self._half_life).of(user) for user, shares in known if shares is not None
            },
        )

    def note(self, now: datetime, shares: Shares, users: Iterable[UserId]) -> None:
        """Keep what has become of these users' use in a change."""
        if self.counts:
            self._by_user.update((user, Shares(at=now, by_user={user: shares.of(user)})) for user in users)


class UnrankedLine(Line):
    """A line that is put in order when somebody asks who comes before whom.

    To refuse, or to let in where nobody waits for it, its length is enough; and a replay tells nobody a place.
    """

    def __init__(self, waiters: Collection[Waiter], rank: Callable[[], Line]) -> None:
        self._unranked, self._rank = waiters, rank

    @cached_property
    def _ranked(self) -> Line:
        return self._rank()

    @property
    def wanted(self) -> frozenset[tuple[GpuType, ...]]:
        return frozenset(waiter.gpu_types for waiter in self._unranked)

    def __len__(self) -> int:
        return len(self._unranked)

    def __iter__(self) -> Iterator[Waiter]:
        return iter(self._ranked)

    def rank_of(self, waiter: Waiter) -> Rank:
        return self._ranked.rank_of(waiter)

    def place_of_newcomer(self, waiter: Waiter) -> int:
        """Return the last place: a newcomer's own is told to nobody."""
        return len(self._unranked) + 1

    def place_of(self, session: SessionId) -> int | None:
        return self._ranked.place_of(session)

    def before(self, waiter: Waiter) -> list[Waiter]:
        return self._ranked.before(waiter)
