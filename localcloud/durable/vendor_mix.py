"""The vendor's everyday faults in the proportions that were measured, drawn from one seed (durable-measured.md).

Each draw hangs on the seed, the instance, its kind and its number, not on the order in which instances get their turn:
two runs of one seed on the virtual clock go wrong in the very same places.
"""

import hashlib
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

EARLIEST_S = 0.9
"""Timers fire up to so much early (finding 3)."""
LATE_STARTS = 4 / 337
"""Starts that are fetched before their row is there, and put back (section 1)."""
LATE_START = timedelta(seconds=2)
STALE_FOR = timedelta(seconds=62)
"""How long the message of a stale timer is put back and looked at again, after it was due (section 2)."""
LOST_A_STALE_TIMER = 0.02
"""The likelihood that one stale timer about takes an event with it. Measured with 30 about: 11 and 21 of 60; with some
16: 48 of 112; with one or two: 4 of 112; without: 0 of 60. This is the middle of what fits (finding 1, section 3)."""
LOST_TERMINATES = 2 / 19
"""Terminates that are lost around a continue_as_new (finding 1b)."""
AROUND_CONTINUE = timedelta(seconds=1)
REPEATED_FIRST_ACTIVITIES = 1 / 20
"""Chosen, not measured: 15 of 24 where the host is killed just after the start (finding 7), and this mix kills none."""


@dataclass(slots=True)
class VendorMix:
    """The mix of one seed; `polling_s` is the longest polling interval, by which timers are late (finding 4)."""

    seed: int
    polling_s: float
    _drawn: Counter[tuple[str, str]] = field(default_factory=Counter)
    _stale: dict[str, list[datetime]] = field(default_factory=dict)
    _continued_at: dict[str, datetime] = field(default_factory=dict)

    def timer_due(self, now: datetime, fire_at: datetime, instance_id: str) -> datetime:
        off = -EARLIEST_S + self._lot("timer", instance_id) * (EARLIEST_S + self.polling_s)
        return max(now, fire_at + timedelta(seconds=off))

    def start_seen(self, now: datetime, instance_id: str) -> datetime:
        return now + LATE_START if self._lot("start", instance_id) < LATE_STARTS else now

    def note_stale_timer(self, now: datetime, instance_id: str) -> None:
        """A timer of an earlier generation has come due: its message haunts the queue for a while."""
        self._stale.setdefault(instance_id, []).append(now)

    def loses_event(self, now: datetime, instance_id: str) -> bool:
        about = [due for due in self._stale.pop(instance_id, ()) if now <= due + STALE_FOR]
        if not about:
            return False
        self._stale[instance_id] = about
        return self._lot("event", instance_id) < 1 - (1 - LOST_A_STALE_TIMER) ** len(about)

    def note_continued(self, now: datetime, instance_id: str) -> None:
        self._continued_at[instance_id] = now

    def loses_terminate(self, now: datetime, instance_id: str) -> bool:
        continued = self._continued_at.get(instance_id)
        if continued is None or now > continued + AROUND_CONTINUE:
            return False
        return self._lot("terminate", instance_id) < LOST_TERMINATES

    def repeats_first_activity(self, instance_id: str) -> bool:
        return self._lot("activity", instance_id) < REPEATED_FIRST_ACTIVITIES

    def guid(self, instance_id: str, salt: str) -> UUID:
        """An id like a random one, the same in each run."""
        return UUID(bytes=self._digest("guid" + salt, instance_id)[:16], version=4)

    def _lot(self, kind: str, instance_id: str) -> float:
        """The next number of at least 0 and below 1 for this kind of fault and this instance."""
        return int.from_bytes(self._digest(kind, instance_id)[:8], "big") / 2**64

    def _digest(self, kind: str, instance_id: str) -> bytes:
        self._drawn[kind, instance_id] += 1
        text = f"{self.seed}/{kind}/{instance_id}/{self._drawn[kind, instance_id]}"
        return hashlib.sha256(text.encode()).digest()
