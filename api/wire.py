"""The types of the HTTP API. camelCase on the wire; unknown fields refused; absent values left out of answers."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import msgspec

from shared.domain.pricing import GpuType
from shared.domain.settings import GpuSettings, Wire
from shared.domain.states import EndReason, Phase, SessionState

Label = Annotated[str, msgspec.Meta(max_length=64, pattern=r"^[\w .:/@+-]*$")]
LabelName = Annotated[str, msgspec.Meta(min_length=1, max_length=32, pattern=r"^[a-zA-Z][\w-]*$")]
Note = Annotated[str, msgspec.Meta(max_length=200, pattern=r"^[^\x00-\x1f\x7f-\x9f]*$")]
RegionName = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9]{3,40}$")]
ImageName = Annotated[str, msgspec.Meta(min_length=1, max_length=300)]


class Answer(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """Base of what we send."""


class Origin(Wire, frozen=True, kw_only=True):
    """Where a shell was opened."""

    dev_box: Label | None = None
    terminal: Label | None = None


class OpenShellRequest(Wire, frozen=True, kw_only=True):
    """What a new shell asks for. Everything has a default: the project's first GPU type, region and image."""

    gpu_type: GpuType | None = None
    region: RegionName | None = None
    image: ImageName | None = None
    session_name: Label | None = None
    labels: Annotated[dict[LabelName, Label], msgspec.Meta(max_length=16)] = msgspec.field(default_factory=dict)
    origin: Origin | None = None


class RenewLeaseRequest(Wire, frozen=True, kw_only=True):
    """A sign of life: how long ago bytes last went through the terminal."""

    active_seconds_ago: Annotated[float, msgspec.Meta(ge=0, le=31_536_000)] = 0.0


class StopSessionRequest(Wire, frozen=True, kw_only=True):
    reason: Note | None = None


class PriceView(Answer, frozen=True, kw_only=True):
    amount_per_hour: str
    currency: str


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


class ShellInSession(Answer, frozen=True, kw_only=True):
    id: str
    lease_expires_at: datetime
    closed_at: datetime | None = None


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
    shells: list[ShellInSession] = []
    price: PriceView | None = None
    cost: CostView | None = None
    duration_seconds: int | None = None
    labels: dict[str, str] = {}


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
    error: ErrorBody | None = None


class ConnectView(Answer, frozen=True, kw_only=True):
    """The way into the container. For the shell's owner alone, in memory alone."""

    exec_url: str
    token: str
    token_expires_at: datetime


class LeaseView(Answer, frozen=True, kw_only=True):
    lease_expires_at: datetime
    renew_after_seconds: float
    stops_at: datetime | None = None
    stop_reason: EndReason | None = None


class OfferedRegion(Answer, frozen=True, kw_only=True):
    name: str
    price: PriceView | None = None


class OfferView(Answer, frozen=True, kw_only=True, omit_defaults=False):
    gpu_type: GpuType
    regions: list[OfferedRegion]
    max_concurrent: int
    free_now: int
    free_for_you: int
    default: bool


class SettingLock(Answer, frozen=True, kw_only=True, omit_defaults=False):
    setting: str
    message: str


class EffectiveSettings(Answer, frozen=True, kw_only=True, omit_defaults=False):
    """How settings hold; who decided each (`default`, `project`, `devCenter`, `policy`); which ones a policy locks."""

    settings: GpuSettings
    sources: dict[str, str]
    locks: list[SettingLock]


class ShellList(Answer, frozen=True, kw_only=True, omit_defaults=False):
    value: list[ShellView]


class SessionList(Answer, frozen=True, kw_only=True, omit_defaults=True):
    value: list[SessionView]
    next_link: str | None = None


class OfferList(Answer, frozen=True, kw_only=True, omit_defaults=False):
    value: list[OfferView]


class HealthView(Answer, frozen=True, kw_only=True, omit_defaults=False):
    status: str
    version: str
