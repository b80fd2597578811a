"""The rows of the tables as values. Fields only ever grow; readers tolerate newer rows (schema version `v`)."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal

import msgspec

from shared.domain.errors import ErrorCode, Problem
from shared.domain.lease import HoldFacts, ShellFacts
from shared.domain.names import ProjectId, SessionId, ShellId, UserId
from shared.domain.pricing import GpuType, Rate
from shared.domain.settings import GpuSettings
from shared.domain.states import EndReason, Phase, SessionState

SCHEMA_VERSION = 1


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """Base of stored rows. `op` names the operation that wrote the row last: the witness of an ambiguous reply."""

    v: int = SCHEMA_VERSION
    op: str = ""


class SettingsRow(Row, frozen=True, kw_only=True):
    """`p`: a project's settings. Its ETag is the API's."""

    project: ProjectId
    settings: GpuSettings
    revision: int
    changed_at: datetime
    changed_by: str
    stop_running_at: datetime | None = None  # the project was disabled with this end for sessions that still run


class LedgerRow(Row, frozen=True, kw_only=True):
    """`q`: the guard of admission and release. Every one of them writes it, so that they are one after the other.

    `policy` is the project's settings as admission goes by them, written in one transaction with `p`.
    """

    project: ProjectId
    revision: int
    policy: GpuSettings = GpuSettings()
    by_type: dict[str, int] = {}
    by_user: dict[str, int] = {}


class SessionRow(Row, frozen=True, kw_only=True):
    """`s-{session}`: the live session. It is the reservation (`holds`) and the truth that drivers go by."""

    project: ProjectId
    session: SessionId
    user: UserId
    state: SessionState
    gpu_type: GpuType
    image: str
    regions: list[str]
    created_at: datetime
    shells: list[ShellId]
    idle_timeout_s: float
    max_lifetime_s: float
    lease_grace_s: float = 0.0
    user_name: str = ""
    session_name: str | None = None
    labels: dict[str, str] = {}
    leased_until: datetime | None = None  # no shell's lease lapses before this, whether it is renewed or not
    phase: Phase | None = None
    phase_since: datetime | None = None
    attempt: int = 0
    region: str | None = None
    holds: int = 0
    # the driver: which epoch drives, what it last read, the name of the wait that it is in
    epoch: int = 1
    booked_at: datetime
    round: int = 0
    wake: str | None = None
    next_look_at: datetime | None = None
    looks: int = 0
    # a command: set by people, read by the driver
    stop_reason: EndReason | None = None
    stop_by: str | None = None
    stop_note: str | None = None
    wakes: int = 0  # wake-ups that the driver has not seen: none, and it need not look for them
    # observed in Azure
    app_put_at: datetime | None = None
    replica_started_at: datetime | None = None
    running_at: datetime | None = None
    missing_since: datetime | None = None
    stopping_at: datetime | None = None
    delete_sent_at: datetime | None = None
    ended_at: datetime | None = None
    end_reason: EndReason | None = None
    error_code: ErrorCode | None = None
    error_message: str | None = None
    # money: the rate is pinned at admission
    rate_per_second: Decimal | None = None
    currency: str | None = None
    metered_s: int | None = None
    settled: bool = False
    seq: int = 0

    @property
    def error(self) -> Problem | None:
        return Problem(code=self.error_code, message=self.error_message or "") if self.error_code else None

    @property
    def rate(self) -> Rate | None:
        if self.rate_per_second is None or self.currency is None:
            return None
        return Rate(amount_per_second=self.rate_per_second, currency=self.currency)

    @property
    def finished(self) -> bool:
        """Whether no driver is needed any more: ended, and its cost booked."""
        return self.state is SessionState.ENDED and self.settled


class ShellRow(Row, frozen=True, kw_only=True):
    """`h-{user}-{shell}`: one shell. A renewal reads and merges this row alone, so it repeats what it must answer."""

    project: ProjectId
    user: UserId
    shell: ShellId
    session: SessionId
    request: str
    created_at: datetime
    lease_expires_at: datetime
    last_activity_at: datetime
    closed_at: datetime | None = None
    origin: dict[str, str] = {}
    running_at: datetime | None = None
    idle_timeout_s: float | None = None
    max_lifetime_s: float | None = None
    stop_reason: EndReason | None = None
    stop_message: str | None = None

    def facts(self) -> ShellFacts:
        return ShellFacts(
            lease_expires_at=self.lease_expires_at,
            last_activity_at=self.last_activity_at,
            closed=self.closed_at is not None,
        )


class WakeRow(Row, frozen=True, kw_only=True):
    """`o-w-{session}-{op}`: a wake-up that only the session's own driver removes."""

    session: SessionId
    why: str
    created_at: datetime
    raised_at: datetime | None = None


class OutboxRow(Row, frozen=True, kw_only=True):
    """`o-{time}-{op}`: an event with the audit entry of the same change, waiting to be published."""

    event_type: str
    subject: str
    at: datetime
    data: dict[str, object]
    actor: str
    seq: int = 0


def hold_facts(session: SessionRow, shells: list[ShellRow], lease_grace: timedelta) -> HoldFacts:
    """Return what decides over this session's life."""
    return HoldFacts(
        shells=tuple(shell.facts() for shell in shells),
        running_at=session.running_at,
        idle_timeout=timedelta(seconds=session.idle_timeout_s),
        max_lifetime=timedelta(seconds=session.max_lifetime_s),
        lease_grace=lease_grace,
    )
