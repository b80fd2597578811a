"""How long a running session lay quiet: what tells later whether a shorter idle limit would have stopped it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from shared.domain.records import SessionRow, ShellRow

Spell = tuple[float, float]
"""A quiet spell: seconds from running to its beginning, and the seconds that it lasted at least."""

SHORTEST_S = 30.0
"""Half of the shortest idle limit: what is quiet for less is no spell."""
GROWTH = 1.25
"""A spell is kept where it is longer by a quarter than all before: at most 45 of them in the longest life."""


def quiet_seen(session: SessionRow, shells: Sequence[ShellRow], now: datetime) -> dict[str, Any]:
    """Return the columns that tell of a running session's quiet, as of this look at its shells.

    A spell lasted at least from the last activity to a look that saw no later one, and at most to the activity that
    came next. The first spell of a length or more is always one that was longer than all before it, so those are kept.
    Time in which a silent client was waited for, since its last report was busy (activity.py), is no quiet.
    """
    if session.running_at is None:
        return {}
    active_at = max([session.running_at, *(shell.last_activity_at for shell in shells)])
    waited_for = [one.busy_until for one in shells if one.busy_until and one.lease_expires_at <= now]
    busy_until = max(waited_for, default=None)
    quiet_from = max(active_at, min(now, busy_until or active_at))
    begun_s = round((quiet_from - session.running_at).total_seconds(), 1)
    lasted_s = round((now - quiet_from).total_seconds(), 1)
    seen_at = session.active_at or session.running_at
    between_s = (active_at - max(seen_at, min(active_at, session.busy_until or seen_at))).total_seconds()
    return {
        "active_at": active_at,
        "busy_until": busy_until,
        "quiet": _noted(session.quiet, (begun_s, lasted_s)),
        "quiet_at_most_s": max(session.quiet_at_most_s or 0.0, between_s, lasted_s),
    }


def _noted(known: list[Spell], spell: Spell) -> list[Spell]:
    """Return the spells with this one, which may be the last of them, longer by now."""
    if known and known[-1][0] == spell[0]:
        return [*known[:-1], spell]
    longest_s = known[-1][1] if known else 0.0
    return [*known, spell] if spell[1] >= max(SHORTEST_S, longest_s * GROWTH) else known
