"""Extending a session: it is kept for so many minutes from now, within what the project allows on top of a lifetime."""

from __future__ import annotations

from datetime import datetime, timedelta

import msgspec

from shared.domain.errors import ErrorCode, Problem
from shared.domain.records import SessionRow


def extended(session: SessionRow, minutes: float, now: datetime, limit_s: float) -> SessionRow | Problem:
    """Return the session kept for at least so many minutes from now, or why it may not be.

    Idleness does not stop it before then. Its lifetime is lengthened only as far as it falls short, and by `limit_s`
    seconds in all. To ask twice for the same is to ask once: the minutes count from now.
    """
    until = now + timedelta(minutes=minutes)
    if session.running_at is None:
        return Problem(
            code=ErrorCode.SHELL_NOT_READY, message="The session does not run yet: there is nothing to extend."
        )
    ends_at = session.running_at + timedelta(seconds=session.max_lifetime_s)
    short_s = max(0.0, (until - ends_at).total_seconds())
    if session.extended_s + short_s > limit_s:
        left = ends_at + timedelta(seconds=max(0.0, limit_s - session.extended_s)) - now
        most = int(left.total_seconds() // 60)
        message = (
            f"This session may be kept for {most} more minutes at most: its project allows {limit_s / 60:g} minutes "
            f"on top of the lifetime, and {session.extended_s / 60:.0f} are used."
        )
        return Problem(code=ErrorCode.EXTEND_LIMIT_REACHED, message=message, target="minutes")
    return msgspec.structs.replace(
        session,
        max_lifetime_s=session.max_lifetime_s + short_s,
        extended_s=session.extended_s + short_s,
        keep_until=max(until, session.keep_until or until),
    )
