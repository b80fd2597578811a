"""What we tell the world: the outgoing events and the audit entry that each change carries."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from shared.domain.billing import cost_so_far, currency_of
from shared.domain.records import SessionRow
from shared.domain.states import SessionState


class EventType(StrEnum):
    SESSION_REQUESTED = "DevBoxGpu.Session.Requested"
    SESSION_WAITING = "DevBoxGpu.Session.Waiting"
    SESSION_PROVISIONING = "DevBoxGpu.Session.Provisioning"
    SESSION_STARTED = "DevBoxGpu.Session.Started"
    SESSION_IDLE_WARNING = "DevBoxGpu.Session.IdleWarning"
    BUDGET_THRESHOLD = "DevBoxGpu.Budget.ThresholdReached"
    SESSION_STOPPING = "DevBoxGpu.Session.Stopping"
    SESSION_ENDED = "DevBoxGpu.Session.Ended"
    STOP_REQUESTED = "DevBoxGpu.Session.StopRequested"
    SHELL_CLOSED = "DevBoxGpu.Shell.Closed"
    SHELL_JOINED = "DevBoxGpu.Shell.Joined"
    SHELL_CONNECTED = "DevBoxGpu.Shell.Connected"
    SESSION_EXTENDED = "DevBoxGpu.Session.Extended"
    TRY_FAILED = "DevBoxGpu.Session.TryFailed"
    CAP_REACHED = "DevBoxGpu.Project.CapReached"
    SETTINGS_CHANGED = "DevBoxGpu.Project.SettingsChanged"
    DRIVER_REPLACED = "DevBoxGpu.Session.DriverReplaced"
    ORPHAN_REMOVED = "DevBoxGpu.Sweep.OrphanRemoved"
    SWEEP_REQUESTED = "DevBoxGpu.Sweep.Requested"
    SWEEP_REPAIRED = "DevBoxGpu.Sweep.Repaired"
    OUTBOX_DEAD_LETTERED = "DevBoxGpu.Outbox.DeadLettered"
    DEV_BOX_STOPPED = "DevBoxGpu.DevBox.StopSeen"
    ACCESS_REFUSED = "DevBoxGpu.Access.Refused"


@dataclass(frozen=True, slots=True)
class Actor:
    """Who brings a change about: a user's object id, or the part of the platform that acts unasked.

    `request` is the id of the API request that asked for it and `source` the address that it came from, both empty
    where nobody asked.
    """

    id: str
    request: str = ""
    source: str = ""


PUBLISHED = frozenset(
    {
        EventType.SESSION_REQUESTED,
        EventType.SESSION_WAITING,
        EventType.SESSION_STARTED,
        EventType.SESSION_ENDED,
        EventType.CAP_REACHED,
        EventType.SESSION_IDLE_WARNING,
        EventType.BUDGET_THRESHOLD,
        EventType.ORPHAN_REMOVED,
    }
)
"""Those that go to the customer's topic; the others are audit entries only (DESIGN.md section 7)."""


def session_facts(session: SessionRow) -> dict[str, object]:
    """Return what an event tells of a session: facts, never a token or a URL."""
    told: dict[str, object] = {
        "session": session.session,
        "user": session.user,
        "state": session.state,
        "gpuType": session.gpu_type,
        "region": session.region,
        "seq": session.seq,
    }
    if session.state in (SessionState.REQUESTED, SessionState.WAITING):
        told |= {"gpuTypes": session.gpu_types, "waitUntil": session.wait_until}
    if session.end_reason is not None:
        told["endReason"] = session.end_reason
    if session.error_code is not None:
        told["error"] = session.error_code
    if session.metered_s is not None:
        told["meteredSeconds"] = session.metered_s
        cost = cost_so_far(session, session.ended_at) if session.ended_at is not None else None
        if cost is not None:
            told["cost"] = {"amount": str(cost), "currency": currency_of(session)}
    return told
