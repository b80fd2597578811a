"""The types of the HTTP API that tell of use, money and changes. Amounts are decimal texts with six places."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

import msgspec

from api.wire import Answer
from shared.domain.pricing import GpuType
from shared.domain.reconciliation import Missing
from shared.domain.usage_report import Interval
from shared.domain.verification import Tampering


class UsageLine(Answer, frozen=True, kw_only=True):
    """A group in an interval, with what was asked to be told apart. No `cost`: no price was known for any of it.

    `estimated`: some of it belongs to sessions that are not settled. `bundled`: some of it is at prices of the table
    that we bring along, as the list could not be had.
    """

    start: date
    seconds: int
    estimated: bool
    sessions: int
    cost: str | None = None
    unpriced_seconds: int = 0
    bundled: bool = False
    user: str | None = None
    user_name: str = ""
    gpu_type: GpuType | None = None
    region: str | None = None
    label: str | None = None
    session: str | None = None


class UsageTotals(Answer, frozen=True, kw_only=True):
    seconds: int
    estimated: bool
    sessions: int
    unpriced_seconds: int
    cost: str | None = None
    bundled: bool = False


class UsageView(Answer, frozen=True, kw_only=True):
    """What was used on the UTC days `from` to `to`, both included."""

    first: date = msgspec.field(name="from")
    last: date = msgspec.field(name="to")
    interval: Interval
    group_by: list[str]
    currency: str
    value: list[UsageLine]
    totals: UsageTotals


class DifferenceView(Answer, frozen=True, kw_only=True):
    """A session as we have booked it and as Azure has billed it. `difference` is actual less estimated."""

    session: str
    estimated: str | None = None
    actual: str | None = None
    actual_currency: str | None = None
    difference: str | None = None
    missing: Missing | None = None


class ReconciliationTotals(Answer, frozen=True, kw_only=True):
    """Sums over the sessions that could be compared, and how many could not for want of a side."""

    estimated: str
    actual: str
    difference: str
    compared: int
    missing_estimated: int
    missing_actual: int


class ReconciliationView(Answer, frozen=True, kw_only=True):
    first: date = msgspec.field(name="from")
    last: date = msgspec.field(name="to")
    currency: str
    value: list[DifferenceView]
    totals: ReconciliationTotals


class ActivityView(Answer, frozen=True, kw_only=True, omit_defaults=False):
    """One change, or refused attempts at one: what, when, by whom, to what. `id` is that of the event that tells of it.

    `request` is the id of the API request that asked for it (`x-ms-request-id`), `source` the address that it came
    from; empty where nobody asked, or where that is not known.
    """

    id: str
    time: datetime
    type: str
    actor: str
    subject: str
    data: dict[str, Any]
    request: str = ""
    source: str = ""


class FindingView(Answer, frozen=True, kw_only=True):
    """One thing that does not fit: an entry by the id that ListActivity gives it, or a seal by its number."""

    kind: Tampering
    day: date
    detail: str
    entry: str | None = None
    seal: int | None = None


class SealHead(Answer, frozen=True, kw_only=True):
    """The newest seal. Noted elsewhere, it proves later that the chain was not made anew."""

    number: int
    hash: str
    sealed_at: datetime


class VerificationView(Answer, frozen=True, kw_only=True, omit_defaults=False):
    """What the seals say of the entries of the UTC days `from` to `to`, both included.

    `intact`: nothing was altered, removed or added since it was sealed; entries that came late are told and are no
    fault. `waiting`: entries that are not sealed yet. `findings` are the first hundred, `found` counts all.
    """

    first: date = msgspec.field(name="from")
    last: date = msgspec.field(name="to")
    intact: bool
    sealed: int
    waiting: int
    seals: int
    head: SealHead | None
    found: int
    findings: list[FindingView]


class ActivityList(Answer, frozen=True, kw_only=True):
    value: list[ActivityView]
    next_link: str | None = None
