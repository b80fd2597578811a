"""Retiring what is over: sessions that have ended and been settled leave the live table with their shells."""

from __future__ import annotations

from shared.domain import names
from shared.domain.records import SessionRow
from shared.domain.sweeping import is_past_keeping
from shared.ports.tables import Delete, Insert, Stored, by_transaction
from shared.ports.world import World


def retire(world: World, stored: Stored[SessionRow]) -> bool:
    """Move a session that is past keeping to the history; tell whether it has left.

    The history has it before the live table loses it, and the session's own row goes last: a retirement that dies on
    the way is carried out again from the beginning and finds what was done.
    """
    session, tables = stored.row, world.sessions.tables
    if session.ended_at is None or not is_past_keeping(session, world.now(), world.settings.retention):
        return False
    month = names.history_partition(session.project, session.ended_at)
    key = names.history_key(session.ended_at, session.session)
    if tables.read("history", month, key, SessionRow) is None:
        tables.commit("history", month, [Insert(key, session)])
    shells = world.sessions.shells_in(session)
    for batch in by_transaction(shells):
        for shell in batch:
            tables.commit("history", f"{month}~shells", [Insert(f"{key}-{shell.row.shell}", shell.row)])
        if not world.sessions.commit(session.project, [Delete(shell.key, shell.etag) for shell in batch]):
            return False
    return world.sessions.commit(session.project, [Delete(stored.key, stored.etag)])
