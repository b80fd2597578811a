"""Refused attempts of this process that the audit does not have yet.

The first of a kind is due at once, the next of the same kind are counted and due a while later. Of kinds, so many are
told apart in that time, and fewer of one caller; those beyond are counted together. So a flood of any size makes a
bounded number of rows, and a caller's flood hides no other caller.
"""

from __future__ import annotations

from datetime import datetime
from threading import Lock

from shared.domain.refusals import (
    ANONYMOUS,
    MOST_ANONYMOUS,
    MOST_NAMED,
    MOST_OF_ONE,
    OTHERS,
    TOLD_EVERY,
    Attempt,
    Key,
    Tally,
)


class Refusals:
    """Tallies by kind. Safe to use from many threads."""

    def __init__(self) -> None:
        self._waiting: dict[Key, Tally] = {}
        self._told_at: dict[Key, datetime] = {}
        self._lock = Lock()

    def note(self, attempt: Attempt) -> None:
        """Count an attempt."""
        with self._lock:
            counted = self._as_counted(attempt)
            tally = self._waiting.get(counted.key)
            self._waiting[counted.key] = tally.and_another(counted.at) if tally else Tally(counted, 1, counted.at)

    def _as_counted(self, attempt: Attempt) -> Attempt:
        """Return the attempt as the kind that it is counted under."""
        known = self._waiting.keys() | self._told_at.keys()
        if attempt.key in known:
            return attempt
        of_caller = sum(key.actor == attempt.actor for key in known)
        if attempt.is_anonymous:
            return attempt if of_caller < MOST_ANONYMOUS else attempt.without_particulars()
        if of_caller >= MOST_OF_ONE:
            attempt = attempt.without_particulars()
        named = sum(key.actor not in (ANONYMOUS, OTHERS) for key in known)
        return attempt if attempt.key in known or named < MOST_NAMED else attempt.of_nobody_in_particular()

    def take_due(self, now: datetime) -> list[Tally]:
        """Take out what is to be written down now: kinds that were not told of lately."""
        with self._lock:
            self._told_at = {key: at for key, at in self._told_at.items() if now - at < TOLD_EVERY}
            due = [key for key in self._waiting if key not in self._told_at]
            self._told_at |= dict.fromkeys(due, now)
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
