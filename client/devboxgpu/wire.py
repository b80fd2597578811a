"""The control plane's answers, as far as this command reads them. Unknown fields are ignored, absent ones are None."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Self

from devboxgpu.errors import Detail, RefusedError

Json = Mapping[str, object]


def text_of(data: Json, key: str) -> str | None:
    value = data.get(key)
    return value if isinstance(value, str) and value else None


def number_of(data: Json, key: str) -> float | None:
    value = data.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)


def mapping_of(data: Json, key: str) -> Json | None:
    value = data.get(key)
    return value if isinstance(value, Mapping) else None


def count_of(data: Json, key: str) -> int | None:
    number = number_of(data, key)
    return None if number is None else int(number)


def items_of(data: Json, key: str) -> list[Json]:
    value = data.get(key)
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list) else []


def texts_of(data: Json, key: str) -> list[str]:
    value = data.get(key)
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


def instant_of(data: Json, key: str) -> datetime | None:
    """An RFC 3339 instant, aware; None when absent or not one."""
    try:
        at = datetime.fromisoformat(text_of(data, key) or "")
    except ValueError:
        return None
    return at if at.tzinfo else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Money:
    amount: Decimal
    currency: str

    @classmethod
    def read(cls, data: Json | None, key: str) -> Self | None:
        if data is None:
            return None
        try:
            amount = Decimal(str(data.get(key)))
        except InvalidOperation:
            return None
        return cls(amount=amount, currency=text_of(data, "currency") or "") if amount.is_finite() else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Why something failed, as the control plane words it."""

    code: str
    message: str
    target: str = ""
    details: tuple[Detail, ...] = ()

    @classmethod
    def read(cls, data: Json | None) -> Self | None:
        if data is None:
            return None
        code = text_of(data, "code") or "Unknown"
        return cls(
            code=code,
            message=text_of(data, "message") or code,
            target=text_of(data, "target") or "",
            details=tuple(_detail(item) for item in items_of(data, "details")),
        )

    def refusal(self) -> RefusedError:
        return RefusedError(self.message, code=self.code, target=self.target, details=self.details)


def _detail(data: Json) -> Detail:
    code = text_of(data, "code") or "Unknown"
    return Detail(code=code, message=text_of(data, "message") or code, target=text_of(data, "target") or "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Shell:
    id: str
    session: str | None
    state: str
    phase: str | None
    attempt: int
    gpu_type: str | None
    region: str | None
    end_reason: str | None
    stop_reason: str | None
    error: Problem | None
    price_an_hour: Money | None
    cost: Money | None
    duration_s: float | None
    guest: bool
    """Whether it joined a session that another shell had opened."""
    open_shells: int
    """How many shells keep its session, as far as the service said."""
    lease_s: float | None
    """How long the first lease lasts, by the service's own clock."""

    @classmethod
    def read(cls, data: Json) -> Self:
        created, lapses = instant_of(data, "createdAt"), instant_of(data, "leaseExpiresAt")
        return cls(
            id=text_of(data, "id") or "",
            session=text_of(data, "session"),
            state=text_of(data, "state") or "Unknown",
            phase=text_of(data, "phase"),
            attempt=count_of(data, "attempt") or 1,
            gpu_type=text_of(data, "gpuType"),
            region=text_of(data, "region"),
            end_reason=text_of(data, "endReason"),
            stop_reason=text_of(data, "stopReason"),
            error=Problem.read(mapping_of(data, "error")),
            price_an_hour=Money.read(mapping_of(data, "price"), "amountPerHour"),
            cost=Money.read(mapping_of(data, "cost"), "amount"),
            duration_s=number_of(data, "durationSeconds"),
            guest=data.get("guest") is True,
            open_shells=count_of(data, "openShells") or 0,
            lease_s=(lapses - created).total_seconds() if created and lapses else None,
        )

    @property
    def is_over(self) -> bool:
        return self.state in {"Stopping", "Ended"}

    @property
    def session_goes_on(self) -> bool:
        """Whether other shells keep the session when this one is closed."""
        return not self.is_over and self.open_shells > 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecAccess:
    """A way into the session's container. The token is short-lived and is never printed or kept."""

    url: str
    token: str
    silence_s: float | None = None
    """After how long without hearing anybody the agent gives up by itself; None where the service does not say."""

    @classmethod
    def read(cls, data: Json) -> Self:
        url, token = text_of(data, "execUrl"), text_of(data, "token")
        if url is None or token is None:
            raise RefusedError("the control plane answered ConnectShell without execUrl or token", code="BadAnswer")
        return cls(url=url, token=token, silence_s=number_of(data, "silenceSeconds"))

    def __repr__(self) -> str:
        return f"ExecAccess(url={self.url!r})"


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseWarning:
    kind: str
    message: str
    at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseRenewal:
    renew_after_s: float | None
    warnings: tuple[LeaseWarning, ...]
    stops_at: datetime | None = None
    """When the session stops if nothing more happens, by the service's clock; None: it did not say."""
    stop_reason: str | None = None
    answered_at: datetime | None = None
    """The service's clock when it answered."""

    @classmethod
    def read(cls, data: Json, *, answered_at: datetime | None = None) -> Self:
        return cls(
            renew_after_s=number_of(data, "renewAfterSeconds"),
            stops_at=instant_of(data, "stopsAt"),
            stop_reason=text_of(data, "stopReason"),
            answered_at=answered_at,
            warnings=tuple(
                LeaseWarning(
                    kind=text_of(item, "kind") or "",
                    message=text_of(item, "message") or "",
                    at=text_of(item, "at") or "",
                )
                for item in items_of(data, "warnings")
            ),
        )
