"""What the caller may do: the rule of each operation, held against what the directory says."""

from __future__ import annotations

from dataclasses import replace

from api.call import Call, Reply
from shared.domain.access import Caller, Standing, Who, may
from shared.domain.errors import ErrorCode, Refused
from shared.domain.names import ProjectId
from shared.domain.states import SessionState
from shared.ports.entitlement import EntitlementUnknown
from shared.ports.world import World

DIRECTORY_AWAY = (
    "The directory that says who may use this project does not answer. No new session is opened until it does; "
    "running ones go on. Try again."
)
ONLY_OWN = '199 - "The directory does not answer: only what is your own is shown"'


def administers(world: World, caller: Caller, project: ProjectId | None) -> bool:
    """Tell whether the caller administers the project; raise EntitlementUnknown."""
    if caller.administers_everywhere:
        return True
    return project is not None and world.entitlement.is_administrator(project, caller.user)


def authorised(who: Who, call: Call) -> Call:
    """Return the call as it may be carried out; raise Refused or EntitlementUnknown.

    The directory is asked only where its answer matters: what concerns the caller alone goes on without it.
    """
    try:
        standing = _standing(who, call)
    except EntitlementUnknown:
        if who is not Who.MEMBER or not _has_a_session(call):
            raise
        return replace(call, only_own=True)
    if may(who, standing):
        return call
    if who is Who.ADMIN and call.world.entitlement.is_member(call.project, call.caller.user):
        raise Refused(403, ErrorCode.FORBIDDEN, "Only a project administrator may do this.")
    raise Refused(404, ErrorCode.NOT_FOUND, "There is no such thing, or it is not yours to see.")


def marked(reply: Reply, call: Call) -> Reply:
    """Return the answer, saying so where it holds less than it would if the directory answered."""
    return replace(reply, headers={**reply.headers, "Warning": ONLY_OWN}) if call.only_own else reply


def _standing(who: Who, call: Call) -> Standing:
    is_self = call.user_or_none == call.caller.user
    asks_admin = who in (Who.MEMBER, Who.ADMIN) or (who is Who.SELF_OR_ADMIN and not is_self)
    is_administrator = asks_admin and call.administers
    asks_member = who is Who.MEMBER and not is_administrator
    return Standing(
        is_self=is_self,
        is_administrator=is_administrator,
        is_operator=call.caller.is_operator,
        is_member=asks_member and call.world.entitlement.is_member(call.project, call.caller.user),
    )


def _has_a_session(call: Call) -> bool:
    """Tell whether the caller has a live session in the project: was a member when it was opened."""
    rows = call.world.sessions.sessions(call.project)
    return any(row.user == call.caller.user and row.state is not SessionState.ENDED for row in rows)
