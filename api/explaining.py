"""Why a session waits, lives or has ended."""

from __future__ import annotations

from api.call import Call, Reply
from api.project_wire import DeadlineView, ExplanationView, ReasonView, RemedyView
from api.sessions import session_or_404
from api.views import activity_columns, planned_stop, try_views
from shared.domain.explanation import explanation
from shared.domain.states import SessionState


def explain_session(call: Call) -> Reply:
    row, now = session_or_404(call).row, call.world.now()
    shells = [stored.row for stored in call.world.sessions.shells_in(row)]
    book = call.world.sessions.book(call.project) if row.state is SessionState.WAITING else None
    found, stop = explanation(row, shells, book, now), planned_stop(row, shells)
    view = ExplanationView(
        session=row.session,
        state=row.state,
        summary=found.summary,
        reasons=[ReasonView(code=why.target or why.code, message=why.message) for why in found.reasons],
        changes=[RemedyView(message=one.message, action=one.action) for one in found.remedies],
        queue_position=found.place,
        queue_length=found.line_length,
        expected_wait_seconds=found.estimate_s,
        stops_at=stop.at if stop else None,
        stop_reason=stop.reason if stop else None,
        deadlines=[DeadlineView(reason=end.reason, at=end.at) for end in found.deadlines],
        **activity_columns(row, shells, now),
        tries=try_views(row),
    )
    return Reply(status=200, body=view)
