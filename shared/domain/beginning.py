"""The session's row at its admission: what is pinned when it gets its place, and how it stands in line."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import msgspec

from shared.domain.admission import Admit, Book, Refuse, Wait, Wish, after_admission, decide
from shared.domain.errors import Problem
from shared.domain.ledger import Ledger
from shared.domain.line import Waiter
from shared.domain.placement import Outlook, Place, next_place
from shared.domain.pricing import GpuType, PriceSource
from shared.domain.records import SessionRow
from shared.domain.settings import LineSettings
from shared.domain.states import EndReason, Phase, SessionState, check_transition


def begun(session: SessionRow, book: Book, gpu_type: GpuType, outlook: Outlook) -> SessionRow:
    """Return the session with a GPU of this type reserved. Policy and, where it is known, the price are pinned now."""
    check_transition(session.state, SessionState.PROVISIONING)
    settings, types = book.settings, session.gpu_types or [session.gpu_type]
    wanted = [gpu_type, *(other for other in types if other is not gpu_type)]
    place = next_place(session.regions, wanted, (), outlook, book.now) or Place(session.regions[0], gpu_type)
    rate = outlook.rates.get(place)
    return msgspec.structs.replace(
        session,
        state=SessionState.PROVISIONING,
        seq=session.seq + 1,
        looks=0,
        holds=1,
        held_from=book.now,
        gpu_type=gpu_type,
        gpu_types=wanted,
        attempt=1,
        region=place.region,
        phase=Phase.CREATING,
        phase_since=book.now,
        wait_reason=None,
        idle_timeout_s=settings.idle.timeout_minutes * 60,
        max_lifetime_s=settings.max_lifetime_minutes * 60,
        extend_limit_s=settings.extend_limit_minutes * 60,
        warn_minutes=list(settings.idle.warn_minutes),
        authorised_until=book.now + book.slice,
        lease_grace_s=settings.idle.grace_minutes * 60,
        gpu_busy_percent=settings.idle.gpu_busy_percent,
        rate_per_second=rate.amount_per_second if rate else None,
        currency=rate.currency if rate else None,
        price_source=rate.source if rate else PriceSource.RETAIL,
    )


def waiting(session: SessionRow, wait: Wait) -> SessionRow:
    """Return the session as it stands in line."""
    check_transition(session.state, SessionState.WAITING)
    return msgspec.structs.replace(
        session, state=SessionState.WAITING, seq=session.seq + 1, looks=0, wait_reason=wait.why.message
    )


def given_up(session: SessionRow, reason: EndReason, problem: Problem | None, now: datetime) -> SessionRow:
    """Return the session ended without ever having held a GPU. To be cancelled or given up is no error."""
    check_transition(session.state, SessionState.ENDED)
    return msgspec.structs.replace(
        session,
        state=SessionState.ENDED,
        seq=session.seq + 1,
        looks=0,
        ended_at=now,
        end_reason=reason,
        error_code=problem.code if problem else None,
        error_message=problem.message if problem else None,
        metered_s=0,
        phase=None,
    )


def waits_until(asked_s: float | None, line: LineSettings, asked_at: datetime) -> datetime:
    """Return when a session gives up its place in line: what it asked, within what the project allows."""
    allowed_s = line.timeout_minutes * 60
    return asked_at + timedelta(seconds=min(asked_s or allowed_s, allowed_s))


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a request comes to: the session as it is now, the ledger after it, and whether it stands in line."""

    session: SessionRow
    ledger: Ledger
    joins: Waiter | None = None


def outcome_of(session: SessionRow, book: Book, outlook: Outlook) -> Outcome:
    """Return what becomes of a requested session: it gets its place, stands in line, or ends as refused."""
    match decide(book, Wish(waiter=session.waiter, wait=session.waits)):
        case Admit(gpu_type=gpu_type):
            after = after_admission(book, gpu_type, session.user, session.session)
            return Outcome(session=begun(session, book, gpu_type, outlook), ledger=after.ledger)
        case Wait() as wait:
            return Outcome(session=waiting(session, wait), ledger=book.ledger, joins=session.waiter)
        case Refuse(problem=problem):
            return Outcome(session=given_up(session, EndReason.REFUSED, problem, book.now), ledger=book.ledger)
