"""Rows as callers see them. Pure: rows and instants in, wire types out."""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta
from typing import Any

import msgspec

from api.wire import (
    CostView,
    ErrorDetail,
    PriceView,
    SessionView,
    ShellInSession,
    ShellView,
    TryView,
)
from shared.domain import names
from shared.domain.admission import Book
from shared.domain.billing import cost_so_far, currency_of, seconds_so_far
from shared.domain.errors import Problem
from shared.domain.explanation import last_activity, waits_for_client_until
from shared.domain.lease import Deadline, planned_end
from shared.domain.pricing import PriceSource, Rate
from shared.domain.records import SessionRow, ShellRow, hold_facts
from shared.domain.states import COUNTED, SessionState

CENTS_OF_HOUR = 4


def etag_of(view: msgspec.Struct) -> str:
    """Return the ETag of a representation: a hash of it, quoted, as the REST guidelines ask."""
    return f'"{hashlib.sha256(msgspec.json.encode(view)).hexdigest()[:24]}"'


def detail(problem: Problem | None) -> ErrorDetail | None:
    return ErrorDetail(code=problem.code, message=problem.message, target=problem.target) if problem else None


def price_view(rate: Rate | None) -> PriceView | None:
    if rate is None:
        return None
    return PriceView(
        amount_per_hour=f"{rate.amount_per_hour:.{CENTS_OF_HOUR}f}",
        currency=rate.currency,
        source=rate.source if rate.source is PriceSource.BUNDLED else None,
    )


def metered_so_far(row: SessionRow, now: datetime) -> int | None:
    """Return the seconds metered, so far or in all; None for a session that never held a GPU."""
    if row.metered_s is not None:
        return row.metered_s
    return seconds_so_far(row, now) if row.state in COUNTED else None


def cost_view(row: SessionRow, now: datetime) -> CostView | None:
    cost = cost_so_far(row, now) if metered_so_far(row, now) is not None else None
    currency = currency_of(row)
    if cost is None or currency is None:
        return None
    return CostView(amount=str(cost), currency=currency, estimated=True)


def planned_stop(row: SessionRow, shells: list[ShellRow]) -> Deadline | None:
    """Return when, and why, a running session stops if nothing more happens."""
    if row.state is not SessionState.RUNNING or not shells:
        return None
    return planned_end(hold_facts(row, shells, timedelta(seconds=row.lease_grace_s)))


def activity_columns(row: SessionRow, shells: list[ShellRow], now: datetime) -> dict[str, Any]:
    """Return what views say of a session's use: what counted last, and until when a silent client is waited for."""
    last = last_activity(shells)
    return {
        "last_activity_at": last.at if last else None,
        "last_activity_signal": last.signal if last else None,
        "last_activity_figure": last.figure if last else None,
        "waits_for_client_until": waits_for_client_until(row, shells, now),
    }


def try_views(row: SessionRow) -> list[TryView]:
    """Return the places where the session's GPU could not be had."""
    return [TryView(region=one.region, gpu_type=one.gpu_type, code=one.code, message=one.message) for one in row.tries]


def waits_until(row: SessionRow) -> datetime | None:
    return row.wait_until if row.state is SessionState.WAITING else None


def shell_view(shell: ShellRow, session: SessionRow, now: datetime, *, open_shells: int | None = None) -> ShellView:
    stop = planned_stop(session, [shell])
    view = ShellView(
        id=shell.shell,
        project=shell.project,
        user=shell.user,
        session=shell.session,
        state=session.state,
        phase=session.phase,
        attempt=session.attempt or None,
        gpu_type=session.gpu_type,
        region=session.region,
        image=session.image,
        session_name=session.session_name,
        created_at=shell.created_at,
        ready_at=session.running_at,
        closed_at=shell.closed_at,
        ended_at=session.ended_at,
        end_reason=session.end_reason,
        error=detail(session.error),
        lease_expires_at=shell.lease_expires_at,
        stops_at=stop.at if stop else None,
        stop_reason=stop.reason if stop else None,
        price=price_view(session.rate),
        cost=cost_view(session, now),
        duration_seconds=metered_so_far(session, now),
        labels=session.labels,
        origin=shell.origin,
        guest=shell.guest,
        open_shells=open_shells,
        wait_times_out_at=waits_until(session),
        tries=try_views(session),
    )
    steady = msgspec.structs.replace(view, cost=None, duration_seconds=None)
    return msgspec.structs.replace(view, etag=etag_of(steady))


def session_view(row: SessionRow, shells: list[ShellRow], now: datetime, book: Book | None = None) -> SessionView:
    """Return a session as its owner and administrators see it; `book` tells its place, where it stands in line."""
    stop = planned_stop(row, shells)
    return SessionView(
        id=row.session,
        project=row.project,
        user=row.user,
        user_name=row.user_name,
        state=row.state,
        phase=row.phase,
        attempt=row.attempt or None,
        gpu_type=row.gpu_type,
        region=row.region,
        image=row.image,
        app=names.app_name(row.session),
        session_name=row.session_name,
        created_at=row.created_at,
        running_at=row.running_at,
        ended_at=row.ended_at,
        end_reason=row.end_reason,
        error=detail(row.error),
        stop_requested_by=row.stop_by,
        stop_note=row.stop_note,
        stops_at=stop.at if stop else None,
        stop_reason=stop.reason if stop else None,
        **activity_columns(row, shells, now),
        shells=[
            ShellInSession(
                id=shell.shell,
                lease_expires_at=shell.lease_expires_at,
                closed_at=shell.closed_at,
                guest=shell.guest,
            )
            for shell in shells
        ],
        price=price_view(row.rate),
        cost=cost_view(row, now),
        duration_seconds=metered_so_far(row, now),
        labels=row.labels,
        queue_position=book.line.place_of(row.session) if book is not None else None,
        wait_times_out_at=waits_until(row),
        tries=try_views(row),
    )
