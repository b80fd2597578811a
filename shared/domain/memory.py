"""What is remembered of Azure's capacity: where, of which type and at what hour GPUs were had, and how soon.

GPU shortage is silent (reference/azure.md 4.6), so the best forecast is what happened to the last sessions there.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import msgspec

HALF_LIFE = timedelta(days=7)
FAILED_LATELY = timedelta(minutes=15)
TRIES_NEEDED = 3.0
SHORT_BELOW = 0.5
"""With fewer tries than needed nothing is said; a region is likely short where fewer than half of them succeeded."""


class Remembered(msgspec.Struct, frozen=True, kw_only=True):
    """Tries of one region, GPU type and UTC hour of day, decayed to `at`; `ready_s`: mean seconds to a proved GPU."""

    at: datetime
    successes: float = 0.0
    failures: float = 0.0
    ready_s: float | None = None
    succeeded_at: datetime | None = None
    failed_at: datetime | None = None


def remembering(known: Remembered | None, now: datetime, *, ready_s: float | None) -> Remembered:
    """Return what is remembered after one more try; `ready_s` None: no GPU was had."""
    before = known or Remembered(at=now)
    kept = 0.5 ** (max(timedelta(0), now - before.at) / HALF_LIFE)
    successes, failures = before.successes * kept, before.failures * kept
    if ready_s is None:
        return msgspec.structs.replace(before, at=now, successes=successes, failures=failures + 1, failed_at=now)
    mean = ready_s if before.ready_s is None else (before.ready_s * successes + ready_s) / (successes + 1)
    return msgspec.structs.replace(
        before, at=now, successes=successes + 1, failures=failures, ready_s=round(mean, 1), succeeded_at=now
    )


def likely_short(known: Remembered | None, now: datetime) -> bool:
    """Tell whether a GPU there is more likely not to come: it just failed, or mostly fails at this hour."""
    if known is None:
        return False
    if known.failed_at is not None and now - known.failed_at < FAILED_LATELY:
        return known.succeeded_at is None or known.succeeded_at < known.failed_at
    tries = known.successes + known.failures
    return tries >= TRIES_NEEDED and known.successes / tries < SHORT_BELOW
