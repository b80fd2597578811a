"""The rows that events and sweeps keep for themselves in the table `seen`, and how little a survey reads of others."""

from __future__ import annotations

from datetime import datetime

from shared.domain.names import ProjectId, SessionId
from shared.domain.records import Row
from shared.domain.states import SessionState

SWEEPS = "sweep"
SWEEP_KEY = "lease"
SUSPECTS = "suspects"
EVERY_KEY = ("", "~")
"""A range of row keys that holds them all: keys are hashes, names and numbers."""


class SeenRow(Row, frozen=True, kw_only=True):
    """`{day of arrival}` / hash of source and id: an inbound event that has been dealt with."""

    event_type: str
    at: datetime


class DeadRow(Row, frozen=True, kw_only=True):
    """`dead~{day of arrival}` / hash: an inbound event that could not be read. No secret, no claims, shortened."""

    reason: str
    at: datetime
    event_type: str = ""
    source: str = ""
    event_id: str = ""
    payload: str = ""


class SweepRow(Row, frozen=True, kw_only=True):
    """`sweep` / `lease`: the last sweep that has begun. Its ETag is the lease."""

    slot: int
    holder: str
    started_at: datetime
    expires_at: datetime
    finished_at: datetime | None = None


class SuspectRow(Row, frozen=True, kw_only=True):
    """`suspects` / app: an app with our tag that no session owns, from the first look until it is gone."""

    app: str
    project: str | None = None
    first_seen_at: datetime
    created_at: datetime | None = None
    removed_at: datetime | None = None  # decided: whoever comes next goes on from here
    told: bool = False  # the audit and the customer know


class ListedRow(Row, frozen=True, kw_only=True):
    """`listed~{day}` / survey, part: the sessions whose apps a part of a survey has found. Gone the day after."""

    sessions: list[SessionId]


class GlanceRow(Row, frozen=True, kw_only=True):
    """What a survey needs of a session's row, so that ten thousand of them are little."""

    project: ProjectId
    session: SessionId
    state: SessionState
    settled: bool = False
    app_put_at: datetime | None = None
    next_region: str | None = None
    wakes: int = 0


def day_partition(at: datetime) -> str:
    return f"{at:%Y%m%d}"


def dead_partition(at: datetime) -> str:
    return f"dead~{at:%Y%m%d}"


def listed_partition(at: datetime) -> str:
    return f"listed~{at:%Y%m%d}"
