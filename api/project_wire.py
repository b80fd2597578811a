"""The types of the HTTP API that tell of projects: offers, explanations, use, settings as they hold."""

from __future__ import annotations

from datetime import datetime

import msgspec

from api.wire import Answer, PriceView, TryView
from shared.domain.activity import Signal
from shared.domain.pricing import GpuType
from shared.domain.settings import GpuSettings, ShellSharing
from shared.domain.states import EndReason, SessionState


class OfferedRegion(Answer, frozen=True, kw_only=True):
    """`quota_free`: what Azure's quota leaves there; `shortage`: GPUs lately did not come; absent is unknown."""

    name: str
    price: PriceView | None = None
    quota_free: int | None = None
    ready_seconds: float | None = None
    shortage: bool = False


class OfferView(Answer, frozen=True, kw_only=True):
    """`expected_wait_seconds`: 0 where there is room at once, absent where it is unknown."""

    gpu_type: GpuType
    regions: list[OfferedRegion]
    max_concurrent: int
    free_now: int
    free_for_you: int
    waiting: int
    default: bool
    fallback: bool
    expected_wait_seconds: float | None = None


class DeadlineView(Answer, frozen=True, kw_only=True):
    reason: EndReason
    at: datetime


class ReasonView(Answer, frozen=True, kw_only=True):
    code: str
    message: str


class RemedyView(Answer, frozen=True, kw_only=True):
    """What would change a session's lot; `action` is a command line where there is one."""

    message: str
    action: str | None = None


class ExplanationView(Answer, frozen=True, kw_only=True):
    """Why a session waits, lives or has stopped, and what would change that."""

    session: str
    state: SessionState
    summary: str
    reasons: list[ReasonView] = msgspec.field(default_factory=list)
    changes: list[RemedyView] = msgspec.field(default_factory=list)
    queue_position: int | None = None
    queue_length: int | None = None
    expected_wait_seconds: float | None = None
    stops_at: datetime | None = None
    stop_reason: EndReason | None = None
    deadlines: list[DeadlineView] = msgspec.field(default_factory=list)
    last_activity_at: datetime | None = None
    last_activity_signal: Signal | None = None
    last_activity_figure: float | None = None
    waits_for_client_until: datetime | None = None
    tries: list[TryView] = msgspec.field(default_factory=list)


class TypeInProject(Answer, frozen=True, kw_only=True):
    type: GpuType
    max_concurrent: int
    sessions: int


class BudgetView(Answer, frozen=True, kw_only=True):
    monthly_amount: str
    spent: str
    currency: str


class ProjectView(Answer, frozen=True, kw_only=True):
    """A project as the caller may use it; `sessions` count against the cap, `your_sessions` against the user's."""

    id: str
    enabled: bool
    role: str
    max_concurrent_sessions: int
    sessions: int
    max_concurrent_sessions_per_user: int
    your_sessions: int
    waiting: int
    gpu_types: list[TypeInProject]
    shell_sharing: ShellSharing
    budget: BudgetView | None = None


class SettingLock(Answer, frozen=True, kw_only=True, omit_defaults=False):
    setting: str
    message: str


class EffectiveSettings(Answer, frozen=True, kw_only=True, omit_defaults=False):
    """How settings hold; who decided each (`default`, `project`, `devCenter`, `policy`); which ones a policy locks."""

    settings: GpuSettings
    sources: dict[str, str]
    locks: list[SettingLock]


class ProjectList(Answer, frozen=True, kw_only=True):
    value: list[ProjectView]
    next_link: str | None = None


class OfferList(Answer, frozen=True, kw_only=True, omit_defaults=False):
    value: list[OfferView]
