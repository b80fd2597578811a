"""The usage of a project as it is stored: one partition a UTC day."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import date, datetime, timedelta

import msgspec

from shared.domain.names import ProjectId
from shared.domain.usage import NOT_SAID, USAGE_KEYS, UsageRow, up_to_now, usage_partition
from shared.ports.sessions import Sessions
from shared.ports.tables import Tables

AT_ONCE = 8
"""Days that are asked for at the same time: a year of short answers is mostly waiting."""


def stored_usage(tables: Tables, project: ProjectId, first: date, last: date) -> list[tuple[str, UsageRow]]:
    """Return (key, row) of every day from `first` to `last`, both included; raise StorageUnavailable."""
    days = [first + timedelta(days=number) for number in range((last - first).days + 1)]

    def rows_of(day: date) -> list[tuple[str, UsageRow]]:
        found = tables.scan("usage", usage_partition(project, day), USAGE_KEYS, UsageRow)
        return [(stored.key, _of_day(stored.row, day)) for stored in found]

    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="usage") as pool:
        return [pair for rows in pool.map(rows_of, days) for pair in rows]


def _of_day(row: UsageRow, day: date) -> UsageRow:
    return msgspec.structs.replace(row, day=day) if row.day == NOT_SAID else row


def usage_up_to_now(sessions: Sessions, project: ProjectId, first: date, last: date, now: datetime) -> list[UsageRow]:
    """Return the usage of these days, what unsettled sessions have used on them up to `now` included."""
    present = sessions.sessions(project)  # before the rows: see up_to_now
    rows = up_to_now(stored_usage(sessions.tables, project, first, last), present, now)
    return [row for row in rows if first <= row.day <= last]
