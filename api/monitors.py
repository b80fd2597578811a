"""The monitors of long operations, as the Azure REST guidelines have them, read off the session's row."""

from __future__ import annotations

from datetime import datetime

import msgspec

from api.call import Call
from api.views import try_views, waits_until
from api.wire import ErrorBody, ErrorDetail, OperationView
from shared.domain.admission import Book, admissible_type, wait_estimate_s
from shared.domain.errors import ErrorCode, Problem
from shared.domain.records import SessionRow
from shared.domain.states import EndReason, SessionState, percent_complete

OPEN, STOP, CLOSE = "open", "stop", "close"
GIVEN_UP = {EndReason.CANCELLED: ErrorCode.CANCELLED, EndReason.LEASE_LAPSED: ErrorCode.LEASE_LAPSED}
FAILED_TO_OPEN = frozenset(
    {EndReason.REFUSED, EndReason.NO_CAPACITY, EndReason.PROVISIONING_FAILED, EndReason.WAIT_TIMED_OUT}
)


def operation_view(kind: str, row: SessionRow, book: Book | None = None) -> OperationView:
    """Return the monitor of opening or stopping a session, or of closing a shell, read off the session's row.

    `book` tells of the line, where the session stands in it.
    """
    status = {OPEN: _open_status, STOP: _stop_status}.get(kind, lambda _: "Succeeded")(row)
    view = OperationView(
        id=f"{kind}-{row.session}",
        status=status,
        created_at=row.created_at,
        last_updated_at=row.ended_at or row.stopping_at or row.running_at or row.phase_since or row.created_at,
        session=row.session,
        shell=row.shells[0] if row.shells else None,
        phase=row.phase,
        attempt=row.attempt or None,
        region=row.region,
        gpu_type=row.gpu_type,
        percent_complete=percent_complete(row.state, row.phase) if kind == OPEN else None,
        wait_times_out_at=waits_until(row),
        tries=try_views(row),
        error=_operation_error(row) if status in ("Failed", "Canceled") else None,
    )
    return in_line(view, row, book) if book is not None and row.state is SessionState.WAITING else view


def in_line(view: OperationView, row: SessionRow, book: Book) -> OperationView:
    """Return the monitor with the session's place in line; a place that is just being given is none any more."""
    place = book.line.place_of(row.session)
    why = admissible_type(book, row.waiter)
    return msgspec.structs.replace(
        view,
        queue_position=place,
        queue_length=len(book.line),
        expected_wait_seconds=wait_estimate_s(book, row.waiter, place, why)
        if place is not None and isinstance(why, Problem)
        else None,
        wait_reason=why.message if isinstance(why, Problem) else None,
    )


def _operation_error(row: SessionRow) -> ErrorBody:
    """Return why opening failed: the error of the session, with every place that was tried."""
    if row.error is None:
        code = GIVEN_UP.get(row.end_reason, ErrorCode.STOPPED) if row.end_reason else ErrorCode.STOPPED
        return ErrorBody(code=code, message=f"The session ended before it was ready: {row.end_reason}.")
    tried = [
        ErrorDetail(code=one.code, message=one.message, target=f"{one.region}/{one.gpu_type}") for one in row.tries
    ]
    return ErrorBody(code=row.error.code, message=row.error.message, details=tried or None)


def _open_status(row: SessionRow) -> str:
    if row.running_at is not None:
        return "Succeeded"
    if row.state is SessionState.REQUESTED:
        return "NotStarted"
    if row.state in (SessionState.WAITING, SessionState.PROVISIONING):
        return "Running"
    return "Failed" if row.end_reason in FAILED_TO_OPEN or row.error_code is not None else "Canceled"


def _stop_status(row: SessionRow) -> str:
    return "Succeeded" if row.state is SessionState.ENDED else "Running"


STOP_POLL_MS = 500
FIRST_POLL_MS = 100
"""When a client that has just asked for a shell should look for the first time."""
WAITING_POLL_MS = 1000
MORE_A_PLACE_MS = 20


def poll_ms(row: SessionRow, now: datetime, place: int | None = None) -> int:
    """Return in how many milliseconds a follower should ask again: soon where the next change is near, else rarely.

    Who stands far behind in line asks less often, so that a long line costs about as much as a short one.
    """
    if row.state is SessionState.WAITING:
        return WAITING_POLL_MS + MORE_A_PLACE_MS * (place or 0)
    age_s = (now - (row.held_from or row.created_at)).total_seconds()
    return 30 if age_s < 0.5 else 400


def monitor_headers(call: Call, kind: str, row: SessionRow, poll_after_ms: int | None) -> dict[str, str]:
    """Return the headers that send a client to an operation's monitor, and when; no time where it is final."""
    place = f"{call.base_url}/projects/{row.project}/operations/{kind}-{row.session}"
    headers = {"Operation-Location": f"{place}?api-version={call.query['api-version']}"}
    return headers if poll_after_ms is None else {**headers, "Retry-After": "1", "Retry-After-Ms": str(poll_after_ms)}
