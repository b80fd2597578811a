"""The report of a replay: figures of what was, of the present and of the proposed settings, and who would feel it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from shared.domain.errors import ErrorCode
from shared.domain.fates import Fate
from shared.domain.names import UserId
from shared.domain.states import EndReason
from shared.domain.use import BY_RULE, Doubt

AT_ONCE_S = 1.0
"""Who has a place within a second has not waited: that is what the decision itself may take."""
MOST_DELAYED = 5
NO_PLACE = frozenset({EndReason.REFUSED, EndReason.WAIT_TIMED_OUT})


@dataclass(frozen=True, slots=True, kw_only=True)
class Waits:
    """Seconds that those waited who did and got a GPU: the median, the 95th percentile (nearest rank), the longest."""

    p50_s: float
    p95_s: float
    max_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What became of the sessions that were asked for. `waits` is None where nobody waited and got a GPU.

    `cost`: of those that have a price; `unpriced` have none. `utilisation`: the part of the project's places that was
    held, on average. `doubts`: sessions by what is not known of their length.
    """

    sessions: int
    at_once: int
    waited: int
    waits: Waits | None
    still_waiting: int
    timed_out: int
    gave_up: int
    never_ran: int
    refused: Mapping[ErrorCode, int]
    stopped_idle: int
    stopped_lifetime: int
    gpu_seconds: int
    cost: Decimal
    unpriced: int
    most_at_once: int
    utilisation: float | None
    doubts: Mapping[Doubt, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Delayed:
    """A user who would have waited longer: by how many seconds in all, and in how many sessions."""

    user: UserId
    user_name: str
    added_s: float
    sessions: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """What the proposed settings would have changed. `saved`: over the sessions that have a price under both.

    Users are counted who would have waited longer, been turned away (refused, or out of time in line), or been stopped
    by a rule, where the present settings do none of it.
    """

    saved: Decimal
    not_compared: int
    gpu_seconds_saved: int
    users_waiting_longer: int
    users_turned_away: int
    users_stopped: int
    most_delayed: tuple[Delayed, ...]


def figures(fates: Sequence[Fate], since: datetime, until: datetime, cap: int) -> Figures:
    """Return the figures of the sessions asked for from `since` on; places are counted whoever held them."""
    asked = [fate for fate in fates if fate.asked_at >= since]
    waits = sorted(wait for fate in asked if (wait := fate.wait_s) is not None and wait >= AT_ONCE_S)
    ends = Counter(fate.end for fate in asked)
    gave_up = [one for one in asked if one.held_from is None and one.end not in (None, *NO_PLACE)]
    most, held_s = _occupancy(fates, since, until)
    span_s = (until - since).total_seconds()
    return Figures(
        sessions=len(asked),
        at_once=sum(1 for fate in asked if fate.held_from is not None) - len(waits),
        waited=len(waits),
        waits=_waits(waits),
        still_waiting=sum(1 for fate in asked if fate.held_from is None and fate.end is None),
        timed_out=ends[EndReason.WAIT_TIMED_OUT],
        gave_up=len(gave_up),
        never_ran=sum(1 for fate in asked if fate.held_until is not None and not fate.ran),
        refused=Counter(fate.refused for fate in asked if fate.refused is not None),
        stopped_idle=ends[EndReason.IDLE],
        stopped_lifetime=ends[EndReason.MAX_LIFETIME],
        gpu_seconds=sum(fate.seconds for fate in asked),
        cost=sum((fate.cost for fate in asked if fate.cost is not None), Decimal(0)),
        unpriced=sum(1 for fate in asked if fate.cost is None),
        most_at_once=most,
        utilisation=held_s / (cap * span_s) if cap and span_s > 0 else None,
        doubts=Counter(fate.doubt for fate in asked if fate.doubt is not None),
    )


def _waits(ordered: Sequence[float]) -> Waits | None:
    if not ordered:
        return None
    p50_s, p95_s = (ordered[-(-percent * len(ordered) // 100) - 1] for percent in (50, 95))
    return Waits(p50_s=p50_s, p95_s=p95_s, max_s=ordered[-1])


def _occupancy(fates: Iterable[Fate], since: datetime, until: datetime) -> tuple[int, float]:
    """Return the most places held at one instant of the window, and the seconds for which all of them were held."""
    steps: list[tuple[datetime, int]] = []
    held_s = 0.0
    for fate in fates:
        if fate.held_from is None or fate.held_from >= until:
            continue
        start, end = max(fate.held_from, since), min(fate.held_until or until, until)
        if end > start:
            steps += [(start, 1), (end, -1)]
            held_s += (end - start).total_seconds()
    present = most = 0
    for _, step in sorted(steps):
        present += step
        most = max(most, present)
    return most, held_s


def difference(present: Sequence[Fate], proposed: Sequence[Fate], since: datetime) -> Difference:
    """Return what lies between two replays of the same demand."""
    pairs = [pair for pair in zip(present, proposed, strict=True) if pair[0].asked_at >= since]
    saved = [a.cost - b.cost for a, b in pairs if a.cost is not None and b.cost is not None]
    delayed = sorted(_delayed(pairs), key=lambda one: (-one.added_s, one.user))
    return Difference(
        saved=sum(saved, Decimal(0)),
        not_compared=len(pairs) - len(saved),
        gpu_seconds_saved=sum(a.seconds - b.seconds for a, b in pairs),
        users_waiting_longer=len(delayed),
        users_turned_away=len({b.user for a, b in pairs if b.end in NO_PLACE and a.end not in NO_PLACE}),
        users_stopped=len({b.user for a, b in pairs if b.end in BY_RULE and a.end not in BY_RULE}),
        most_delayed=tuple(delayed[:MOST_DELAYED]),
    )


def _delayed(pairs: Iterable[tuple[Fate, Fate]]) -> Iterator[Delayed]:
    """Yield each user whose sessions wait longer, where both replays gave them a GPU."""
    found: dict[UserId, list[float]] = {}
    user_names: dict[UserId, str] = {}
    for a, b in pairs:
        if a.wait_s is not None and b.wait_s is not None and b.wait_s - a.wait_s >= AT_ONCE_S:
            found.setdefault(b.user, []).append(b.wait_s - a.wait_s)
            user_names[b.user] = b.user_name
    for user, added in found.items():
        yield Delayed(user=user, user_name=user_names[user], added_s=sum(added), sessions=len(added))
