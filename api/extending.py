"""Extending a session that runs."""

from __future__ import annotations

import msgspec

from api.call import Call, Reply
from api.sessions import session_or_404
from api.views import session_view
from api.wire import ExtendSessionRequest
from shared.domain.errors import ErrorCode, Problem, Refused
from shared.domain.events import EventType
from shared.domain.extension import extended
from shared.domain.records import SessionRow
from shared.domain.states import EndReason, SessionState
from shared.ports.outgoing import new_wake, outbox
from shared.ports.sessions import session_update, until_settled
from shared.ports.tables import Change, Update


def extend_session(call: Call) -> Reply:
    """Keep the session for at least so many minutes from now. A second call with the same changes next to nothing."""
    minutes = call.body(ExtendSessionRequest).minutes
    return until_settled(lambda: _extend(call, minutes))


def _extend(call: Call, minutes: float) -> Reply | None:
    stored, now = session_or_404(call), call.world.now()
    _refuse_what_is_ending(stored.row)
    settings = call.world.sessions.recent_settings(call.project)
    limit_s = settings.row.settings.extend_limit_minutes * 60 if settings else 0.0
    row = extended(stored.row, minutes, now, min(limit_s, stored.row.extend_limit_s))
    if isinstance(row, Problem):
        raise Refused(409, row.code, row.message, target=row.target)
    row = msgspec.structs.replace(row, wakes=row.wakes + 1)
    shells = call.world.sessions.shells_in(row)
    limits = {"max_lifetime_s": row.max_lifetime_s, "keep_until": row.keep_until, "extendable": row.extendable}
    told = [msgspec.structs.replace(shell.row, **limits) for shell in shells]
    changes: list[Change] = [
        session_update(stored, row),
        *(Update(shell.key, after, shell.etag) for shell, after in zip(shells, told, strict=True)),
        new_wake(row.session, "extend", now),
        outbox(EventType.SESSION_EXTENDED, row, call.actor, now, _what_changed(stored.row, row, minutes)),
    ]
    if not call.world.sessions.commit(call.project, changes):
        return None
    return Reply(status=200, body=session_view(row, told, now), wake=(row,))


def _what_changed(before: SessionRow, after: SessionRow, minutes: float) -> dict[str, object]:
    return {"minutes": minutes, "before": _ends(before), "after": _ends(after)}


def _ends(row: SessionRow) -> dict[str, object]:
    return {"maxLifetimeSeconds": row.max_lifetime_s, "keepUntil": row.keep_until}


def _refuse_what_is_ending(session: SessionRow) -> None:
    over = session.state in (SessionState.STOPPING, SessionState.ENDED)
    if over or session.stop_reason is not None:
        raise Refused(409, ErrorCode.SHELL_ENDED, "The session is ending or has ended: it cannot be extended.")
    if session.ordered_stop_reason is EndReason.BUDGET_EXHAUSTED:
        message = "The project's budget of this month is used up: ask a project administrator for more, not for time."
        raise Refused(409, ErrorCode.BUDGET_EXHAUSTED, message)
    if session.ordered_stop_reason is not None:
        message = "GPU sessions were disabled for this project: its sessions cannot be extended."
        raise Refused(409, ErrorCode.GPU_DISABLED, message)
