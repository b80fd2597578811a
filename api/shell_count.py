"""How many shells one user may have opened: counted in storage, so that it holds however many processes serve."""

from __future__ import annotations

from api.call import Call
from shared.domain.access import Caller
from shared.domain.errors import ErrorCode, Refused
from shared.domain.names import shells_of_user
from shared.domain.rate import Limit
from shared.domain.records import ShellRow
from shared.ports.sessions import CORE


def openings_of(caller: Caller) -> str:
    """Return the name of the bucket that a user's openings are drawn from."""
    return f"openings/{caller.user}"


def check_shells(call: Call) -> None:
    """Refuse to open one more shell to a user who has opened as many as are kept for one.

    Counted in storage, for whoever has lately opened many through this process: others cannot have reached it.
    """
    world, limit = call.world, Limit(call.world.settings.user_openings_per_minute)
    if world.throttle.left(openings_of(call.caller), limit) > limit.per_minute / 2:
        return
    most = world.settings.shells_per_user
    kept = world.sessions.tables.scan(CORE, call.project, shells_of_user(call.user), ShellRow, most=most)
    if len(kept) < most:
        return
    message = (
        f"You have opened {most} shells in this project lately, as many as are kept for one user. "
        "Try again later, or use a shell that you have."
    )
    raise Refused(429, ErrorCode.TOO_MANY_SHELLS, message, retry_after_s=600)
