"""A project's book with five hundred sessions of fifty users in line, as admission decides by it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from shared.domain.admission import Book
from shared.domain.fairness import Share, Shares
from shared.domain.ledger import Ledger
from shared.domain.line import Line, Waiter
from shared.domain.names import SessionId, UserId
from shared.domain.pricing import GpuType
from shared.domain.settings import (
    Fairness,
    GpuSettings,
    GpuTypeSetting,
    LineSettings,
    Mode,
    ServerlessGpuSessionsSettings,
)

CAP, WAITERS, USERS = 10, 500, 50
NOW = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)


def waiter(number: int, gpu_type: GpuType) -> Waiter:
    return Waiter(
        session=SessionId(f"{number:026d}"),
        user=UserId(f"00000000-0000-0000-0000-{number % USERS:012d}"),
        gpu_types=(gpu_type,),
        since=NOW - timedelta(hours=1) + timedelta(seconds=number),
        until=NOW + timedelta(hours=9),
    )


def book_with_line(fairness: Fairness, in_use: Mapping[str, int], wanted: GpuType) -> Book:
    """Return a book whose line waits for GPUs of one type, of users whose past use differs."""
    settings = GpuSettings(
        serverless_gpu_sessions_settings=ServerlessGpuSessionsSettings(
            serverless_gpu_sessions_mode=Mode.AUTO_DEPLOY, max_concurrent_sessions_per_project=CAP
        ),
        max_concurrent_sessions_per_user=WAITERS,
        gpu_types=(GpuTypeSetting(type=GpuType.T4), GpuTypeSetting(type=GpuType.A100, max_concurrent=1)),
        line=LineSettings(fairness=fairness, max_length=2 * WAITERS),
    )
    waiters = [waiter(number, wanted) for number in range(WAITERS)]
    shares = Shares(at=NOW, by_user={one.user: Share(100.0 * number) for number, one in enumerate(waiters[:USERS])})
    ledger = Ledger(by_type=in_use, shares=shares)
    return Book(settings=settings, ledger=ledger, line=Line(waiters, shares, settings.line), now=NOW)
