"""The states of a session, what may follow what, and why sessions end."""

from __future__ import annotations

from enum import StrEnum


class SessionState(StrEnum):
    REQUESTED = "Requested"
    WAITING = "Waiting"
    PROVISIONING = "Provisioning"
    RUNNING = "Running"
    STOPPING = "Stopping"
    ENDED = "Ended"


class Phase(StrEnum):
    """Where provisioning is. The service's own phases: a bare spinner reads as a hang (experience.md 2.3)."""

    CREATING = "Creating"
    ASSIGNING = "Assigning"
    PULLING = "Pulling"
    STARTING = "Starting"
    VERIFYING_GPU = "VerifyingGpu"


class EndReason(StrEnum):
    SHELLS_CLOSED = "ShellsClosed"
    LEASE_LAPSED = "LeaseLapsed"
    IDLE = "Idle"
    MAX_LIFETIME = "MaxLifetime"
    STOPPED_BY_USER = "StoppedByUser"
    STOPPED_BY_ADMINISTRATOR = "StoppedByAdministrator"
    PROJECT_DISABLED = "ProjectDisabled"
    BUDGET_EXHAUSTED = "BudgetExhausted"
    WAIT_TIMED_OUT = "WaitTimedOut"
    CANCELLED = "Cancelled"
    REFUSED = "Refused"
    NO_CAPACITY = "NoCapacity"
    PROVISIONING_FAILED = "ProvisioningFailed"
    APP_LOST = "AppLost"


_S = SessionState

FOLLOWING: dict[SessionState, frozenset[SessionState]] = {
    _S.REQUESTED: frozenset({_S.WAITING, _S.PROVISIONING, _S.ENDED}),
    _S.WAITING: frozenset({_S.PROVISIONING, _S.ENDED}),
    _S.PROVISIONING: frozenset({_S.RUNNING, _S.STOPPING}),
    _S.RUNNING: frozenset({_S.STOPPING}),
    _S.STOPPING: frozenset({_S.ENDED}),
    _S.ENDED: frozenset(),
}
"""What may follow each state. A session that may hold a GPU never ends but through Stopping."""

COUNTED = frozenset({_S.PROVISIONING, _S.RUNNING, _S.STOPPING})
"""States in which the session holds its place in the ledger: until Azure confirms that the app is gone (I5)."""


class IllegalTransition(Exception):
    """A transition that the state table does not allow: a bug of ours, never an outcome."""

    def __init__(self, before: SessionState, after: SessionState) -> None:
        super().__init__(f"a session cannot go from {before} to {after}")
        self.before = before
        self.after = after


def check_transition(before: SessionState, after: SessionState) -> None:
    """Raise IllegalTransition unless `after` may follow `before` (I10)."""
    if after not in FOLLOWING[before]:
        raise IllegalTransition(before, after)


def percent_complete(state: SessionState, phase: Phase | None) -> int:
    """Return how far opening has come, in percent: a step count, not a forecast of time."""
    if state in (_S.REQUESTED, _S.WAITING):
        return 0
    if state is not _S.PROVISIONING:
        return 100
    phases = list(Phase)
    return 10 + 80 * phases.index(phase or Phase.CREATING) // len(phases)
