"""The rows of the tables as values. Fields only ever grow; readers tolerate newer rows (schema version `v`)."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal

import msgspec

from shared.domain.activity import GPU_BUSY_PERCENT, Activity, Signal
from shared.domain.effective import bounded
from shared.domain.errors import ErrorCode, Problem
from shared.domain.governance import Governance
from shared.domain.lease import Deadline, HoldFacts, ShellFacts
from shared.domain.line import Waiter
from shared.domain.names import ProjectId, SessionId, ShellId, UserId
from shared.domain.placement import Place
from shared.domain.pricing import GpuType, PriceSource, Rate
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
    bounds: Governance = Governance()
    by_type: dict[str, int] = {}
    by_user: dict[str, int] = {}
    waiting: int = 0  # rows of the line: none, and it need not be read
    shares: dict[str, tuple[float, float]] = {}
    shares_at: datetime | None = None
    held_s: dict[str, list[float]] = {}
    month: str = ""
    spent: Decimal = Decimal(0)
    accrued: dict[str, Decimal] = {}
    authorised: dict[str, Decimal] = {}
    alerted: list[int] = []

    @property
    def held_settings(self) -> GpuSettings:
        """The project's settings as they hold: within what Dev Center allows."""
        return bounded(self.policy, self.bounds)


class WaitRow(Row, frozen=True, kw_only=True):
    """`w-{order}-{session}`: a place in line. Every change of the line writes the ledger's row too, its guard."""

    session: SessionId
    user: UserId
    gpu_types: list[GpuType]
    since: datetime
    until: datetime

    @property
    def waiter(self) -> Waiter:
        return Waiter(
            session=self.session, user=self.user, gpu_types=tuple(self.gpu_types), since=self.since, until=self.until
        )


class OpenerRow(Row, frozen=True, kw_only=True):
    """`j-{user}`: written by every opening of a user's where shells may share a session: one after the other."""

    openings: int


class Try(msgspec.Struct, frozen=True, kw_only=True):
    """One place where the session's GPU could not be had: why, and what was paid for there."""

    region: str
    gpu_type: GpuType
    code: ErrorCode
    message: str
    at: datetime
    replica_started_at: datetime | None = None
    metered_s: int = 0
    rate_per_second: Decimal | None = None
    currency: str | None = None
    price_source: PriceSource = PriceSource.RETAIL


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What the request itself named; None where it left that to the project's settings."""

    gpu_type: GpuType | None = None
    wait_s: float | None = None


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
    gpu_busy_percent: float = GPU_BUSY_PERCENT
    user_name: str = ""
    session_name: str | None = None
    labels: dict[str, str] = {}
    leased_until: datetime | None = None  # no shell's lease lapses before this, whether it is renewed or not
    phase: Phase | None = None
    phase_since: datetime | None = None
    attempt: int = 0
    region: str | None = None
    holds: int = 0
    held_from: datetime | None = None
    # where it may be tried, what was tried in vain, and where it goes when its app there is gone
    gpu_types: list[GpuType] = []
    environments: dict[str, str] = {}
    tries: list[Try] = []
    next_region: str | None = None
    next_gpu_type: GpuType | None = None
    registry: str | None = None
    pull_identity: str | None = None
    asked: Asked | None = None  # None in rows of older versions: what was asked is not told from the defaults
    trace: str | None = None  # the `traceparent` of the request that opened it: later drivers go on in its trace
    # in line
    waits: bool = False  # it would rather wait than be refused
    wait_until: datetime | None = None
    wait_reason: str | None = None
    # what moves its end: an extension that somebody asked for, a stop that was announced
    keep_until: datetime | None = None
    extended_s: float = 0.0
    extend_limit_s: float = 0.0
    warn_minutes: list[float] = []
    warned_for: datetime | None = None  # the idle stop that the world was told of beforehand
    authorised_until: datetime | None = None  # so long its cost is held of the budget
    ordered_stop_at: datetime | None = None
    ordered_stop_reason: EndReason | None = None
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
    # activity, as the driver saw it: when it was last, and the quiet spells of the life so far (quiet.py)
    active_at: datetime | None = None
    quiet: list[tuple[float, float]] = []
    quiet_at_most_s: float | None = None
    busy_until: datetime | None = None
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
    price_source: PriceSource = PriceSource.RETAIL
    metered_s: int | None = None
    settled: bool = False
    seq: int = 0

    @property
    def extendable(self) -> bool:
        """Whether its lifetime may be lengthened further."""
        return self.extended_s < self.extend_limit_s

    @property
    def error(self) -> Problem | None:
        return Problem(code=self.error_code, message=self.error_message or "") if self.error_code else None

    @property
    def rate(self) -> Rate | None:
        if self.rate_per_second is None or self.currency is None:
            return None
        return Rate(amount_per_second=self.rate_per_second, currency=self.currency, source=self.price_source)

    @property
    def tried(self) -> list[Place]:
        """Where it was tried in vain."""
        return [Place(one.region, one.gpu_type) for one in self.tries]

    @property
    def waiter(self) -> Waiter:
        """The session as it stands, or would stand, in line."""
        return Waiter(
            session=self.session,
            user=self.user,
            gpu_types=tuple(self.gpu_types or [self.gpu_type]),
            since=self.created_at,
            until=self.wait_until or self.created_at,
        )

    @property
    def environment_id(self) -> str | None:
        """The environment that its app is, or will be, in; None in rows of older versions."""
        return self.environments.get(self.region or self.regions[0])

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
    active_signal: Signal | None = None  # what that was; None: the opening, or not recorded
    active_figure: float | None = None  # of Gpu: percent; of Process: how many
    busy_until: datetime | None = None  # its last report was busy: so long its client is waited for
    busy_signal: Signal | None = None
    closed_at: datetime | None = None
    origin: dict[str, str] = {}
    guest: bool = False  # in another shell's session, since there was no place for one of its own
    in_company: bool = False  # other shells are in its session: this row alone does not tell when it ends
    running_at: datetime | None = None
    idle_timeout_s: float | None = None
    max_lifetime_s: float | None = None
    lease_grace_s: float = 0.0
    gpu_busy_percent: float = GPU_BUSY_PERCENT
    warn_minutes: list[float] = []
    extendable: bool = True  # whether its lifetime may be extended further
    keep_until: datetime | None = None
    ordered_stop_at: datetime | None = None
    ordered_stop_reason: EndReason | None = None
    stop_reason: EndReason | None = None
    stop_message: str | None = None

    def facts(self) -> ShellFacts:
        return ShellFacts(
            lease_expires_at=self.lease_expires_at,
            last_activity_at=self.last_activity_at,
            closed=self.closed_at is not None,
            busy_until=self.busy_until,
        )

    @property
    def activity(self) -> Activity:
        return Activity(
            at=self.last_activity_at,
            signal=self.active_signal,
            figure=self.active_figure,
            busy_until=self.busy_until,
            busy_signal=self.busy_signal,
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
    request: str = ""
    source: str = ""
    seq: int = 0
    # where it must stay: it is in the audit already, and the topic has not taken it so often
    audited: bool = False
    attempts: int = 0
    next_try_at: datetime | None = None


def hold_facts(session: SessionRow, shells: list[ShellRow], lease_grace: timedelta) -> HoldFacts:
    """Return what decides over this session's life."""
    return HoldFacts(
        shells=tuple(shell.facts() for shell in shells),
        running_at=session.running_at,
        idle_timeout=timedelta(seconds=session.idle_timeout_s),
        max_lifetime=timedelta(seconds=session.max_lifetime_s),
        lease_grace=lease_grace,
        keep_until=session.keep_until,
        ordered=ordered_end(session),
    )


def limits_of(session: SessionRow) -> dict[str, object]:
    """Return the columns of a session that its shells repeat, so that a renewal is answered from its shell alone."""
    return {
        "idle_timeout_s": session.idle_timeout_s,
        "max_lifetime_s": session.max_lifetime_s,
        "lease_grace_s": session.lease_grace_s,
        "gpu_busy_percent": session.gpu_busy_percent,
        "warn_minutes": session.warn_minutes,
        "extendable": session.extendable,
        "ordered_stop_at": session.ordered_stop_at,
        "ordered_stop_reason": session.ordered_stop_reason,
    }


def ordered_end(row: SessionRow | ShellRow) -> Deadline | None:
    """Return the stop that was announced for this session, None where there is none."""
    if row.ordered_stop_at is None or row.ordered_stop_reason is None:
        return None
    return Deadline(at=row.ordered_stop_at, reason=row.ordered_stop_reason)
