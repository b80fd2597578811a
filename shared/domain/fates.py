"""What became of a session: really, or in a replay."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from shared.domain.billing import cost_so_far, seconds_so_far, spans
from shared.domain.errors import ErrorCode
from shared.domain.names import SessionId, UserId
from shared.domain.records import SessionRow
from shared.domain.states import EndReason
from shared.domain.use import Doubt


@dataclass(frozen=True, slots=True, kw_only=True)
class Fate:
    """What became of one session. `end` is None where it goes on, or ended by what is not known.

    `cost` is None where there is no price; what never had a GPU has cost nothing.
    """

    session: SessionId
    user: UserId
    user_name: str
    asked_at: datetime
    held_from: datetime | None = None
    held_until: datetime | None = None
    end: EndReason | None = None
    refused: ErrorCode | None = None
    ran: bool = False
    seconds: int = 0
    cost: Decimal | None = Decimal(0)
    doubt: Doubt | None = None

    @property
    def wait_s(self) -> float | None:
        """Seconds from asking to the place; None where it got none."""
        return (self.held_from - self.asked_at).total_seconds() if self.held_from is not None else None


def fate_of(row: SessionRow, until: datetime, currency: str) -> Fate:
    """Return what really became of a session."""
    seconds = seconds_so_far(row, until)
    priced_so = all(span.rate is not None and span.rate.currency == currency for span in spans(row, until))
    cost = cost_so_far(row, until) if priced_so else None
    return Fate(
        session=row.session,
        user=row.user,
        user_name=row.user_name,
        asked_at=row.created_at,
        held_from=row.held_from,
        held_until=row.ended_at if row.held_from is not None else None,
        end=row.end_reason if row.ended_at is not None else None,
        refused=row.error_code if row.end_reason is EndReason.REFUSED else None,
        ran=row.running_at is not None,
        seconds=seconds,
        cost=cost if seconds else Decimal(0),
    )
