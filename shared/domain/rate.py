"""How fast one caller may go on: a bucket of tokens that fills with time. Who draws more than is in it waits."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Limit:
    """So many tokens a minute, spread evenly; a minute's worth may be drawn at once."""

    per_minute: float


@dataclass(frozen=True, slots=True)
class Bucket:
    """What was left in a bucket at an instant."""

    left: float
    at: datetime


def drawn(bucket: Bucket | None, limit: Limit, cost: float, now: datetime) -> tuple[Bucket, float]:
    """Return the bucket after the draw, and 0; or, where there is too little in it, how many seconds to wait.

    A refused draw takes nothing, so that asking again and again does not put off the end of the wait. What costs more
    than a full bucket is let through by a full one. A clock that goes back fills nothing.
    """
    left = limit.per_minute if bucket is None else min(limit.per_minute, bucket.left + _filled(bucket, limit, now))
    price = min(cost, limit.per_minute)
    if left >= price:
        return Bucket(left - price, now), 0.0
    return Bucket(left, now), (price - left) * 60 / limit.per_minute


def _filled(bucket: Bucket, limit: Limit, now: datetime) -> float:
    return max(0.0, (now - bucket.at).total_seconds()) * limit.per_minute / 60
