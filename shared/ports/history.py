"""Sessions as they were recorded, read newest first and a day at a time, so that no question reads all of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta

from shared.domain import names
from shared.domain.names import ProjectId
from shared.domain.records import SessionRow
from shared.ports.clock import elapsed_s
from shared.ports.sessions import Sessions, is_live

MOST_SESSIONS = 20_000
READ_FOR_S = 5.0
"""So long older days are read; who asks waits for the answer."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """The sessions that lived at some time from `since` on. `truncated`: there were more before it, left unread."""

    sessions: list[SessionRow]
    since: datetime
    truncated: bool


def recorded(
    sessions: Sessions, project: ProjectId, since: datetime, until: datetime, most: int = MOST_SESSIONS
) -> Recorded:
    """Return what is recorded of the project's sessions from `since` on: those that live, and `most` ended ones.

    Where there are more, or storage is slow, it begins later: from there on nothing is missing.
    """
    began_s = elapsed_s()
    live = {row.session: row for row in sessions.sessions(project) if is_live(row) or not row.finished}
    ended: list[SessionRow] = []
    for start, end in _days(since, until):
        partition = names.history_partition(project, start)
        found = sessions.tables.scan("history", partition, names.ended_between(start, end), SessionRow)
        ended += [stored.row for stored in found if stored.row.session not in live]
        if len(ended) > most:
            kept = ended[:most]
            begins = kept[-1].ended_at or since
            return Recorded([*live.values(), *kept], begins, truncated=True)
        if start > since and elapsed_s() - began_s > READ_FOR_S:
            return Recorded([*live.values(), *ended], start, truncated=True)
    return Recorded([*live.values(), *ended], since, truncated=False)


def _days(since: datetime, until: datetime) -> Iterator[tuple[datetime, datetime]]:
    """Yield the UTC days of an interval, the last first, each cut to the interval."""
    end = until + timedelta(milliseconds=1)
    while end > since:
        midnight = datetime.combine((end - timedelta(microseconds=1)).date(), time(), UTC)
        start = max(midnight, since)
        yield start, end
        end = start
