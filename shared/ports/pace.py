"""How often a process does at most what any of its calls may set off."""

from __future__ import annotations

from datetime import datetime, timedelta


class Pace:
    """Lets one of many through in a stretch of time. Two at the same instant may both pass: it saves work only."""

    def __init__(self, every: timedelta) -> None:
        self._every = every
        self._last: datetime | None = None

    def is_due(self, now: datetime) -> bool:
        """Tell whether the caller is the one; the stretch begins anew if so."""
        if self._last is not None and now - self._last < self._every:
            return False
        self._last = now
        return True
