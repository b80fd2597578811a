"""The types of the HTTP API. camelCase on the wire; unknown fields refused; absent values left out of answers."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import msgspec

from shared.domain.activity import Report, Signal
from shared.domain.pricing import GpuType
from shared.domain.settings import Wire
from shared.domain.states import EndReason, Phase, SessionState

END = r"$(?!\n)"
"""The end of a text and nothing before it: a pattern's own `$` lets a final line break through."""
STEERING = r"\x00-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
"""What moves a cursor or the direction of text, or is not seen at all, where a person reads it."""
Label = Annotated[str, msgspec.Meta(max_length=64, pattern=rf"^[\w .:/@+-]*{END}")]
LabelName = Annotated[str, msgspec.Meta(min_length=1, max_length=32, pattern=rf"^[a-zA-Z][\w-]*{END}")]
Note = Annotated[str, msgspec.Meta(max_length=200, pattern=rf"^[^{STEERING}]*{END}")]
RegionName = Annotated[str, msgspec.Meta(pattern=rf"^[a-z0-9]{{3,40}}{END}")]
SessionIdText = Annotated[str, msgspec.Meta(pattern=rf"^[a-z2-7]{{26}}{END}")]
SecondsAgo = Annotated[float, msgspec.Meta(ge=0, le=31_536_000)]
ImageName = Annotated[str, msgspec.Meta(min_length=1, max_length=300)]


class Answer(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """Base of what we send."""


class Origin(Wire, frozen=True, kw_only=True):
    """Where a shell was opened."""

    dev_box: Label | None = None
    terminal: Label | None = None


class OpenShellRequest(Wire, frozen=True, kw_only=True):
    """What a new shell asks for. Everything has a default: the project's first GPU type, region and image.

    `session`: join this session of one's own. `wait`: stand in line rather than be refused, at most so many seconds.
    """

    gpu_type: GpuType | None = None
    region: RegionName | None = None
    image: ImageName | None = None
    session_name: Label | None = None
    session: SessionIdText | None = None
    wait: bool = False
    wait_timeout_seconds: Annotated[float, msgspec.Meta(gt=0, le=86_400)] | None = None
    labels: Annotated[dict[LabelName, Label], msgspec.Meta(max_length=16)] = msgspec.field(default_factory=dict)
    origin: Origin | None = None


class RenewLeaseRequest(Wire, frozen=True, kw_only=True):
    """A sign of life: how long ago bytes last went through the terminal, and what is at work in the container.

    What is not known is left out: an absent figure is not a zero.
    """

    active_seconds_ago: SecondsAgo = 0.0
    gpu_utilization_percent: Annotated[float, msgspec.Meta(ge=0, le=100)] | None = None
    busy_processes: Annotated[int, msgspec.Meta(ge=0, le=1_000_000)] | None = None

    def report(self) -> Report:
        return Report(
            active_seconds_ago=self.active_seconds_ago,
            gpu_percent=self.gpu_utilization_percent,
            busy_processes=self.busy_processes,
        )


class ConnectShellRequest(Wire, frozen=True, kw_only=True):
    """How long ago bytes last went through the terminal, of a client that connects again by itself.

    Left out, a person connects, which is activity.
    """

    active_seconds_ago: SecondsAgo | None = None


class StopSessionRequest(Wire, frozen=True, kw_only=True):
    reason: Note | None = None


class ExtendSessionRequest(Wire, frozen=True, kw_only=True):
    """Keep the session for at least so many minutes from now."""

    minutes: Annotated[float, msgspec.Meta(gt=0, le=10_080)]


class PriceView(Answer, frozen=True, kw_only=True):
    """`source` is `bundled` where the list price could not be had and the table that we bring along stands in."""

    amount_per_hour: str
    currency: str
    source: str | None = None


class CostView(Answer, frozen=True, kw_only=True, omit_defaults=False):
    amount: str
    currency: str
    estimated: bool


class ErrorDetail(Answer, frozen=True, kw_only=True):
    code: str
    message: str
    target: str | None = None


class ErrorBody(Answer, frozen=True, kw_only=True):
    code: str
    message: str
    target: str | None = None
    details: list[ErrorDetail] | None = None


class ErrorAnswer(Answer, frozen=True, kw_only=True):
    error: ErrorBody


class TryView(Answer, frozen=True, kw_only=True):
    """A place where the session's GPU could not be had."""

    region: str
    gpu_type: GpuType
    code: str
    message: str


class ShellView(Answer, frozen=True, kw_only=True):
    id: str
    project: str
    user: str
    session: str
    state: SessionState
    gpu_type: GpuType
    image: str
    created_at: datetime
    lease_expires_at: datetime
    etag: str = ""
    phase: Phase | None = None
    attempt: int | None = None
    region: str | None = None
    session_name: str | None = None
    ready_at: datetime | None = None
    closed_at: datetime | None = None
    ended_at: datetime | None = None
    end_reason: EndReason | None = None
    error: ErrorDetail | None = None
    stops_at: datetime | None = None
    stop_reason: EndReason | None = None
    price: PriceView | None = None
    cost: CostView | None = None
    duration_seconds: int | None = None
    labels: dict[str, str] = {}
    origin: dict[str, str] = {}
    guest: bool = False
    open_shells: int | None = None
    wait_times_out_at: datetime | None = None
    tries: list[TryView] = []


class ShellInSession(Answer, frozen=True, kw_only=True):
    id: str
    lease_expires_at: datetime
    closed_at: datetime | None = None
    guest: bool = False


class SessionView(Answer, frozen=True, kw_only=True):
    id: str
    project: str
    user: str
    state: SessionState
    gpu_type: GpuType
    image: str
    created_at: datetime
    app: str
    user_name: str = ""
    phase: Phase | None = None
    attempt: int | None = None
    region: str | None = None
    session_name: str | None = None
    running_at: datetime | None = None
    ended_at: datetime | None = None
    end_reason: EndReason | None = None
    error: ErrorDetail | None = None
    stop_requested_by: str | None = None
    stop_note: str | None = None
    stops_at: datetime | None = None
    stop_reason: EndReason | None = None
    last_activity_at: datetime | None = None
    last_activity_signal: Signal | None = None
    last_activity_figure: float | None = None
    waits_for_client_until: datetime | None = None
    shells: list[ShellInSession] = []
    price: PriceView | None = None
    cost: CostView | None = None
    duration_seconds: int | None = None
    labels: dict[str, str] = {}
    queue_position: int | None = None
    wait_times_out_at: datetime | None = None
    tries: list[TryView] = []


class OperationView(Answer, frozen=True, kw_only=True):
    """A long operation's monitor, as the Azure REST guidelines have it: stock azure-core pollers read it."""

    id: str
    status: str
    created_at: datetime
    last_updated_at: datetime
    session: str
    shell: str | None = None
    phase: Phase | None = None
    attempt: int | None = None
    region: str | None = None
    percent_complete: int | None = None
    gpu_type: GpuType | None = None
    queue_position: int | None = None
    queue_length: int | None = None
    expected_wait_seconds: float | None = None
    wait_reason: str | None = None
    wait_times_out_at: datetime | None = None
    tries: list[TryView] = []
    error: ErrorBody | None = None


class DecisionView(Answer, frozen=True, kw_only=True):
    """What would become of a request for a shell: admit, wait, join or refuse."""

    decision: str
    gpu_type: GpuType
    region: str | None = None
    price: PriceView | None = None
    code: str | None = None
    message: str | None = None
    queue_position: int | None = None
    expected_wait_seconds: float | None = None
    expected_ready_seconds: float | None = None
    session: str | None = None


class ConnectView(Answer, frozen=True, kw_only=True):
    """The way into the container. For the shell's owner alone, in memory alone.

    `silenceSeconds`: after how long without anybody heard the container's agent may end it by itself; the control
    plane acts before.
    """

    exec_url: str
    token: str
    token_expires_at: datetime
    silence_seconds: float | None = None


class WarningView(Answer, frozen=True, kw_only=True):
    """Something that the person at a shell is told once."""

    kind: str
    message: str
    at: datetime | None = None


class LeaseView(Answer, frozen=True, kw_only=True):
    lease_expires_at: datetime
    renew_after_seconds: float
    stops_at: datetime | None = None
    stop_reason: EndReason | None = None
    warnings: list[WarningView] = []


class ShellList(Answer, frozen=True, kw_only=True, omit_defaults=False):
    value: list[ShellView]


class SessionList(Answer, frozen=True, kw_only=True, omit_defaults=True):
    value: list[SessionView]
    next_link: str | None = None


class HealthView(Answer, frozen=True, kw_only=True, omit_defaults=False):
    status: str
    version: str
    unavailable: list[str] = []
