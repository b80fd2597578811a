"""The types of the HTTP API that tell of a policy replay."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

import msgspec

from api.wire import Answer
from shared.domain.errors import ErrorCode
from shared.domain.settings import GpuSettings, Wire
from shared.domain.use import Doubt


class ReplayRequest(Wire, frozen=True, kw_only=True):
    """What is to be tried: a merge patch of the project's settings, on what was asked in so many days until now."""

    days: Annotated[int, msgspec.Meta(ge=1, le=90)] = 30
    settings: dict[str, Any] = msgspec.field(default_factory=dict)


class AmountView(Answer, frozen=True, kw_only=True, omit_defaults=False):
    amount: str
    currency: str


class WaitsView(Answer, frozen=True, kw_only=True, omit_defaults=False):
    """Seconds that those waited who did, and got a GPU."""

    p50_seconds: float
    p95_seconds: float
    max_seconds: float


class FiguresView(Answer, frozen=True, kw_only=True, omit_defaults=False):
    """What became of the sessions asked for. `cost`: of those with a price; `unpriced_sessions` have none.

    `waits` is null where nobody waited and got a GPU. `utilisation`: the part of the project's places that was held.
    `doubts`: sessions by what is not known of their length (`atLeast`, `atMost`, `idleUnknown`, `assumed`, `unknown`).
    """

    sessions: int
    admitted_at_once: int
    waited: int
    waits: WaitsView | None
    still_waiting: int
    timed_out: int
    gave_up: int
    never_ran: int
    refused: dict[ErrorCode, int]
    stopped_idle: int
    stopped_lifetime: int
    gpu_seconds: int
    cost: AmountView
    unpriced_sessions: int
    most_at_once: int
    utilisation: float | None
    doubts: dict[Doubt, int]


class DelayedUser(Answer, frozen=True, kw_only=True, omit_defaults=False):
    user: str
    user_name: str
    added_wait_seconds: float
    sessions: int


class DifferenceView(Answer, frozen=True, kw_only=True, omit_defaults=False):
    """What the proposed settings change against the present ones; below zero is more. Users are counted once each.

    `saved`: over the sessions that have a price under both; `not_compared` are the others.
    """

    saved: AmountView
    not_compared: int
    gpu_seconds_saved: int
    users_waiting_longer: int
    users_turned_away: int
    users_stopped: int
    most_delayed: list[DelayedUser]


class ReplayReport(Answer, frozen=True, kw_only=True, omit_defaults=False):
    """Recorded demand as it really went, replayed under the settings that hold, and under the proposed ones.

    `begins`: the demand from here on was read; later than asked where there was more than is read (`truncated`).
    """

    begins: datetime
    ends: datetime
    truncated: bool
    really: FiguresView
    present: FiguresView
    proposed: FiguresView
    difference: DifferenceView
    settings: GpuSettings
