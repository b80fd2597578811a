"""Shells that share a session (DESIGN.md section 4): which one a new shell joins, and how it joins it.

Joining writes the session's row as it was read, and so does every stop: exactly one of the two wins (the ETag).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from api.call import Call
from api.wire import OpenShellRequest
from shared.domain.errors import ErrorCode, Refused
from shared.domain.events import EventType
from shared.domain.names import SessionId, opener_key, shell_key
from shared.domain.records import OpenerRow, SessionRow, ShellRow, limits_of
from shared.domain.settings import GpuSettings, ShellSharing
from shared.domain.states import SessionState
from shared.ports.outgoing import outbox
from shared.ports.sessions import is_live, session_update
from shared.ports.tables import Change, Insert, Stored, Update

MOST_SHELLS = 20
"""Shells of one session: a stop writes all of them in one transaction."""
JOINABLE = frozenset({SessionState.WAITING, SessionState.PROVISIONING, SessionState.RUNNING})


@dataclass(frozen=True, slots=True)
class Joining:
    """The session that the shell joins. `guest`: it would rather have had one of its own."""

    session: Stored[SessionRow]
    guest: bool
    changes: tuple[Change, ...]


@dataclass(frozen=True, slots=True)
class OfItsOwn:
    """The shell gets a session of its own; `changes` let the user's openings happen one after the other."""

    changes: tuple[Change, ...] = ()


def seat_for(call: Call, request: OpenShellRequest, asked: SessionRow, settings: GpuSettings) -> Joining | OfItsOwn:
    """Return where the shell goes. Raise Refused where it names a session that it may not join."""
    sharing = settings.shell_sharing
    if sharing is ShellSharing.DEDICATED:
        if request.session is not None:
            message = "This project gives each shell a session of its own. Leave 'session' out."
            raise Refused(403, ErrorCode.SHARING_NOT_ALLOWED, message, target="session")
        return OfItsOwn()
    guard = _one_after_the_other(call)
    guest = sharing is ShellSharing.DEDICATED_THEN_SHARED
    if request.session is not None:
        return Joining(_named(call, request, asked, SessionId(request.session)), guest, guard)
    mine = [row for row in call.world.sessions.sessions(call.project) if is_live(row) and row.user == call.user]
    if guest and len(mine) < settings.max_concurrent_sessions_per_user:
        return OfItsOwn(guard)
    fitting = [row for row in mine if _fits(row, request, asked)]
    newest = max(fitting, key=lambda row: row.created_at, default=None)
    stored = call.world.sessions.session(call.project, newest.session) if newest is not None else None
    if stored is None or not _fits(stored.row, request, asked):
        return OfItsOwn(guard)
    return Joining(stored, guest, guard)


def _one_after_the_other(call: Call) -> tuple[Change, ...]:
    """Return the write that two openings of one user's at the same time cannot both make."""
    stored = call.world.sessions.opener(call.project, call.user)
    if stored is None:
        return (Insert(opener_key(call.user), OpenerRow(openings=1)),)
    return (Update(stored.key, OpenerRow(openings=stored.row.openings + 1), stored.etag),)


def _named(call: Call, request: OpenShellRequest, asked: SessionRow, session: SessionId) -> Stored[SessionRow]:
    stored = call.world.sessions.session(call.project, session)
    if stored is not None and stored.row.user == call.user and _fits(stored.row, request, asked):
        return stored
    message = (
        f"Session '{session}' cannot be joined: it is not a live session of yours with this GPU type and image that "
        f"has room for another shell ({MOST_SHELLS} at most). See: devboxgpu sessions list"
    )
    raise Refused(409, ErrorCode.SESSION_NOT_JOINABLE, message, target="session")


def _fits(row: SessionRow, request: OpenShellRequest, asked: SessionRow) -> bool:
    """Tell whether a session is one that the request could have meant: type, image, region, alive, with room."""
    right_region = request.region is None or request.region in ([row.region] if row.region else row.regions)
    right_image = row.image == asked.image or (request.session is not None and request.image is None)
    right_type = row.gpu_type in asked.gpu_types or (request.session is not None and request.gpu_type is None)
    alive = row.state in JOINABLE and row.stop_reason is None and row.ordered_stop_at is None
    return alive and right_region and right_image and right_type and len(row.shells) < MOST_SHELLS


def join(call: Call, seat: Joining, shell: ShellRow) -> tuple[ShellRow, SessionRow] | None:
    """Put the shell into the session; None where it is in it already, or where one of the rows has changed."""
    if shell.shell in seat.session.row.shells:
        return None
    stored, present = seat.session, call.world.sessions.shells_in(seat.session.row)
    row = msgspec.structs.replace(stored.row, shells=[*stored.row.shells, shell.shell])
    if row.leased_until is not None:
        row = msgspec.structs.replace(row, leased_until=max(row.leased_until, shell.lease_expires_at))
    newcomer = msgspec.structs.replace(shell, guest=seat.guest, **_what_renewals_tell(stored.row))
    changes: list[Change] = [
        session_update(stored, row),
        Insert(shell_key(shell.user, shell.shell), newcomer),
        *_in_company(present),
        *seat.changes,
        outbox(EventType.SHELL_JOINED, row, call.actor, call.world.now(), {"shell": shell.shell}),
    ]
    return (newcomer, row) if call.world.sessions.commit(call.project, changes) else None


def _in_company(present: Sequence[Stored[ShellRow]]) -> list[Change]:
    """Return the change that tells the shells that are there that they no longer decide over the session alone."""
    alone = [shell for shell in present if not shell.row.in_company and shell.row.closed_at is None]
    return [Update(one.key, msgspec.structs.replace(one.row, in_company=True), one.etag) for one in alone]


def _what_renewals_tell(session: SessionRow) -> dict[str, object]:
    told: dict[str, object] = {"in_company": True}
    if session.running_at is not None:
        told |= {"running_at": session.running_at, "keep_until": session.keep_until, **limits_of(session)}
    return told
