"""Refused attempts of this process that the audit does not have yet.

The first of a kind is due at once, the next of the same kind are counted and due a minute later. Of kinds, so many are
told apart in a minute; those beyond are counted together. So a flood of any size makes a bounded number of rows.
"""

from __future__ import annotations

from datetime import datetime
from threading import Lock

from shared.domain.refusals import MOST_ANONYMOUS, MOST_NAMED, TOLD_EVERY, Attempt, Key, Tally


class Refusals:
    """Tallies by kind. Safe to use from many threads."""

    def __init__(self) -> None:
        self._waiting: dict[Key, Tally] = {}
        self._told_at: dict[Key, datetime] = {}
        self._anonymous: set[Key] = set()
        self._lock = Lock()

    def note(self, attempt: Attempt) -> None:
        """Count an attempt."""
        with self._lock:
            counted = attempt if self._has_room(attempt) else attempt.as_one_of_others()
            if counted.is_anonymous:
                self._anonymous.add(counted.key)
            tally = self._waiting.get(counted.key)
            self._waiting[counted.key] = tally.and_another(counted.at) if tally else Tally(counted, 1, counted.at)

    def _has_room(self, attempt: Attempt) -> bool:
        known = self._waiting.keys() | self._told_at.keys()
        if attempt.key in known:
            return True
        anonymous = len(self._anonymous & known)
        return anonymous < MOST_ANONYMOUS if attempt.is_anonymous else len(known) - anonymous < MOST_NAMED

    def take_due(self, now: datetime, *, all_of_them: bool = False) -> list[Tally]:
        """Take out what is to be written down now: kinds that were not told of for a minute, or all."""
        with self._lock:
            self._told_at = {key: at for key, at in self._told_at.items() if now - at < TOLD_EVERY}
            due = [key for key in self._waiting if all_of_them or key not in self._told_at]
            self._told_at |= dict.fromkeys(due, now)
            self._anonymous &= self._waiting.keys() | self._told_at.keys()
            return [self._waiting.pop(key) for key in due]

    def put_back(self, tally: Tally) -> None:
        """Keep what could not be written down for the next time."""
        with self._lock:
            key = tally.first.key
            later = self._waiting.get(key)
            self._waiting[key] = later.after(tally) if later else tally
            self._told_at.pop(key, None)

    def __len__(self) -> int:
        with self._lock:
            return len(self._waiting)
