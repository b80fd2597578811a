"""In which order waiting events go to the topic, when one that it did not take is tried again, and when no more."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from typing import Generic, Protocol, TypeVar

from shared.domain.names import ProjectId
from shared.domain.records import OutboxRow

FIRST_PAUSE = timedelta(seconds=5)
LONGEST_PAUSE = timedelta(minutes=5)
MOST_DOUBLINGS = 16


class Waiting(Protocol):
    """An event that waits to be published, as it is stored."""

    @property
    def key(self) -> str: ...
    @property
    def row(self) -> OutboxRow: ...


W = TypeVar("W", bound=Waiting)


@dataclass(frozen=True, slots=True)
class Round(Generic[W]):
    """What one round offers to the topic: those never tried all together, each that it once did not take alone.

    `behind`: those that wait for one before them.
    """

    together: list[tuple[ProjectId, W]]
    alone: list[tuple[ProjectId, W]]
    behind: list[tuple[ProjectId, W]]


def round_of(waiting: Iterable[tuple[ProjectId, W]], now: datetime) -> Round[W]:
    """Return what may be offered now. Of one subject nothing overtakes: behind one that pauses, all others wait.

    So an event that the topic does not take holds up its own session, and nobody else's.
    """
    ordered = sorted(waiting, key=lambda one: (one[0], one[1].row.subject, one[1].row.seq, one[1].key))
    offer: Round[W] = Round([], [], [])
    for _, chain in groupby(ordered, key=lambda one: (one[0], one[1].row.subject)):
        events = list(chain)
        head = events[0][1].row
        if head.attempts == 0:
            offer.together.extend(events)
            continue
        offer.behind.extend(events[1:])
        if head.next_try_at is None or head.next_try_at <= now:
            offer.alone.append(events[0])
    return offer


def next_try(attempts: int, now: datetime) -> datetime:
    """Return when an event that was not taken `attempts` times is offered again: twice as long each time, capped."""
    doublings = min(attempts - 1, MOST_DOUBLINGS)
    return now + min(LONGEST_PAUSE, FIRST_PAUSE * float(2**doublings))


def is_given_up(row: OutboxRow, now: datetime, lifetime: timedelta) -> bool:
    """Tell whether an event that was tried in vain is too old to be offered any longer."""
    return row.attempts > 0 and now - row.at > lifetime
