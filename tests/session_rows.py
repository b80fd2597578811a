"""A session's row for tests that are about something else than how it came to be."""

from __future__ import annotations

from datetime import datetime

from shared.domain.names import ProjectId, SessionId, UserId
from shared.domain.pricing import GpuType
from shared.domain.records import SessionRow
from shared.domain.states import SessionState


def session_row(began: datetime, **more: object) -> SessionRow:
    """Return a session of `demo` that runs on a T4 in westus3 since this instant, but for what `more` says."""
    columns: dict[str, object] = {
        "project": ProjectId("demo"),
        "session": SessionId("a" * 26),
        "user": UserId("alice"),
        "state": SessionState.RUNNING,
        "gpu_type": GpuType.T4,
        "image": "image",
        "regions": ["westus3"],
        "region": "westus3",
        "created_at": began,
        "booked_at": began,
        "shells": [],
        "idle_timeout_s": 60.0,
        "max_lifetime_s": 60.0,
        "replica_started_at": began,
        **more,
    }
    return SessionRow(**columns)
