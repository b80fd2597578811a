"""Closing a shell: the last one to close ends its session. Whoever closes it, a person or an event, goes this way."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from shared.domain.events import Actor, EventType, session_facts
from shared.domain.records import SessionRow, ShellRow
from shared.domain.states import EndReason
from shared.ports.outgoing import new_wake, outbox_entry
from shared.ports.sessions import session_update
from shared.ports.tables import Change, Stored, Update
from shared.ports.world import World


@dataclass(frozen=True, slots=True, kw_only=True)
class Closed:
    """A closed shell with its session. Where others are still open the session lives on and nobody need be woken."""

    shell: ShellRow
    session: SessionRow
    open_shells: int


def close(
    world: World, stored: Stored[ShellRow], session: Stored[SessionRow], actor: Actor, *, because: str | None = None
) -> Closed | None:
    """Close an open shell; None where a row has changed meanwhile. `because` goes to the audit.

    The session's row is written either way: of two that close at once, one sees the other.
    """
    now = world.now()
    shell = msgspec.structs.replace(stored.row, closed_at=now)
    others = other_open_shells(world, shell, session.row)
    row = session.row if others else _told_to_stop(session.row, actor.id)
    facts = {**session_facts(row), "shell": shell.shell, "openShells": others}
    if because is not None:
        facts["because"] = because
    changes: list[Change] = [
        session_update(session, row),
        Update(stored.key, shell, stored.etag),
        outbox_entry(EventType.SHELL_CLOSED, f"sessions/{row.session}", facts, actor, now, seq=row.seq),
    ]
    if not others:
        changes.append(new_wake(row.session, "close", now))
    if not world.sessions.commit(row.project, changes):
        return None
    return Closed(shell=shell, session=row, open_shells=others)


def other_open_shells(world: World, shell: ShellRow, session: SessionRow) -> int:
    """Return how many other shells keep the session."""
    if not shell.in_company:
        return 0
    rows = [one.row for one in world.sessions.shells_in(session)]
    return sum(row.closed_at is None and row.shell != shell.shell for row in rows)


def _told_to_stop(session: SessionRow, actor: str) -> SessionRow:
    running = session.running_at is not None
    reason = session.stop_reason or (EndReason.SHELLS_CLOSED if running else EndReason.CANCELLED)
    return msgspec.structs.replace(
        session, stop_reason=reason, stop_by=session.stop_by or actor, wakes=session.wakes + 1
    )
