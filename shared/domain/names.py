"""Names that are stored: ids, row keys, instance ids. Every key that reaches storage was made or checked here."""

from __future__ import annotations

import re
from datetime import date, datetime
from functools import lru_cache
from typing import NewType

ProjectId = NewType("ProjectId", str)
UserId = NewType("UserId", str)
ShellId = NewType("ShellId", str)
SessionId = NewType("SessionId", str)

SESSION_ID_LENGTH = 26
LAST_SEAL = 9_999_999_999
END_OF_TIME_MS = 99_999_999_999_999
APP_PREFIX = "dbg-"

_PROJECT = re.compile(r"[a-z0-9-]{3,63}")
_USER = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_SHELL = re.compile(r"[a-z][a-z0-9-]{6,62}[a-z0-9]")
_SESSION = re.compile(rf"[a-z2-7]{{{SESSION_ID_LENGTH}}}")

PROJECT_RULE = "3 to 63 characters out of a-z, 0-9 and '-'"
USER_RULE = "an Entra object id (a GUID), or 'me'"
SHELL_RULE = "8 to 64 characters out of a-z, 0-9 and '-', beginning with a letter and not ending with '-'"
SESSION_RULE = f"{SESSION_ID_LENGTH} characters out of a-z and 2-7"


def project_id(text: str) -> ProjectId | None:
    """Return the project id that this text means (without case), None where it cannot be one."""
    lowered = text.lower()
    return ProjectId(lowered) if _PROJECT.fullmatch(lowered) else None


def user_id(text: str) -> UserId | None:
    """Return the Entra object id that this text means (without case), None where it cannot be one."""
    lowered = text.lower()
    return UserId(lowered) if _USER.fullmatch(lowered) else None


def shell_id(text: str) -> ShellId | None:
    """Return the shell id, None where the text cannot be one. Shell ids keep to lower case."""
    return ShellId(text) if _SHELL.fullmatch(text) else None


def session_id(text: str) -> SessionId | None:
    """Return the session id, None where the text cannot be one."""
    return SessionId(text) if _SESSION.fullmatch(text) else None


def app_name(session: SessionId) -> str:
    """Return the container app's name: 30 characters, within Azure's 2 to 32 (reference/azure.md 4.3)."""
    return f"{APP_PREFIX}{session}"


def session_of_app(name: str) -> SessionId | None:
    """Return the session whose app has this name (without case), None for an app that is not ours."""
    lowered = name.lower()
    return session_id(lowered.removeprefix(APP_PREFIX)) if lowered.startswith(APP_PREFIX) else None


def instance_id(session: SessionId, epoch: int) -> str:
    """Return the driver's orchestration id. Each epoch has its own (durable-measured.md 3: successors need new ids)."""
    return f"{session}-{epoch}"


def wake_name(epoch: int, number: int) -> str:
    """Return the event name of one wait. Lower case, and never used for a second wait (traps P1, P2, P10)."""
    return f"wake-{epoch}-{number}"


def sweep_instance(slot: int) -> str:
    """Return the orchestration id of a slot's sweep: two that start it make one."""
    return f"sweep-{slot}"


SETTINGS_KEY = "p"
LEDGER_KEY = "q"


def session_key(session: SessionId) -> str:
    return f"s-{session}"


def shell_key(user: UserId, shell: ShellId) -> str:
    """Return a shell's row key. It holds the user, so that two users may choose the same shell id and never meet."""
    return f"h-{user}-{shell}"


def shells_of_user(user: UserId) -> tuple[str, str]:
    """Return the first key and the key after the last of a user's shells, for a range scan."""
    return f"h-{user}-", f"h-{user}."


def wake_key(session: SessionId, op: str) -> str:
    """Return the outbox key of a wake-up: by session, so that its driver finds its own with one short range scan."""
    return f"o-w-{session}-{op}"


def wakes_of_session(session: SessionId) -> tuple[str, str]:
    return f"o-w-{session}-", f"o-w-{session}."


def outbox_key(at_ms: int, op: str) -> str:
    """Return the outbox key of an event: in order of time. Digits sort before the 'w' of wake-ups."""
    return f"o-{at_ms:014d}-{op}"


def outbox_span(first: datetime, end: datetime) -> tuple[str, str]:
    """Return the first key and the key after the last of the events from one instant up to, not including, another."""
    return _outbox_time(first), _outbox_time(end)


def _outbox_time(at: datetime) -> str:
    return f"o-{int(at.timestamp() * 1000):014d}"


NOBODYS = ProjectId("nobodys-apps")
"""Where the removal of an app is told whose project neither the lookup nor a tag names."""
PLATFORM = ProjectId("_platform")
"""Where the audit keeps what belongs to no project. No project can have this name."""


def audit_partition(project: ProjectId, day: date) -> str:
    return f"{project}~{day:%Y%m%d}"


def seal_key(number: int) -> str:
    """Return the key of a seal of the audit: the newest sorts first, and each number is there once."""
    return f"{LAST_SEAL - number:010d}"


ALL_SEALS = ("0", ":")


@lru_cache(maxsize=2048)
def waiter_order(since: datetime, session: SessionId) -> str:
    """Return what sorts waiters by arrival: instants to the millisecond, then session ids."""
    return f"{int(since.timestamp() * 1000):014d}-{session}"


def waiter_key(since: datetime, session: SessionId) -> str:
    """Return the row key of a session's place in line: keys sort in order of arrival."""
    return f"w-{waiter_order(since, session)}"


def opener_key(user: UserId) -> str:
    """Return the key of the row that lets a user's openings happen one after the other, where shells are shared."""
    return f"j-{user}"


OUTBOX_EVENTS = ("o-0", "o-:")
OUTBOX_WAKES = ("o-w-", "o-w.")
SESSIONS = ("s-", "s.")
WAITERS = ("w-", "w.")


def lookup_partition(session: SessionId) -> str:
    return session[:2]


def history_partition(project: ProjectId, ended_at: datetime) -> str:
    return f"{project}~{ended_at:%Y%m}"


def history_key(ended_at: datetime, session: SessionId) -> str:
    """Return the key of an ended session: the newest sorts first."""
    return f"{_newest_first(ended_at)}-{session}"


def ended_between(since: datetime, until: datetime) -> tuple[str, str]:
    """Return the first key and the key after the last of the sessions that ended from `since` on, before `until`."""
    return _newest_first(until, 1), _newest_first(since, 1)


def _newest_first(at: datetime, later: int = 0) -> str:
    return f"{END_OF_TIME_MS - int(at.timestamp() * 1000) + later:014d}"
