"""What goes out with a change: its event and audit entry, and the wake-up of the session's driver."""

from __future__ import annotations

from datetime import datetime

from shared.domain import names
from shared.domain.admission import Book
from shared.domain.events import Actor, EventType, session_facts
from shared.domain.governance import Governance
from shared.domain.names import SessionId
from shared.domain.records import OutboxRow, SessionRow, WakeRow
from shared.ports import ids
from shared.ports.tables import Insert

CONTROL_PLANE = Actor("control-plane")
"""The actor of what nobody asked for: drivers, promotions, repairs."""


def new_wake(session: SessionId, why: str, at: datetime) -> Insert:
    """Return the wake-up that goes into the same transaction as a command."""
    row = WakeRow(session=session, why=why, created_at=at)
    return Insert(names.wake_key(session, ids.new_op()), row)


def outbox(
    event_type: EventType, session: SessionRow, actor: Actor, at: datetime, more: dict[str, object] | None = None
) -> Insert:
    """Return the event and audit entry of a change to this session, for the transaction of the change itself."""
    facts = {**session_facts(session), **(more or {})}
    return outbox_entry(event_type, f"sessions/{session.session}", facts, actor, at, seq=session.seq)


def ledger_facts(book: Book, *, further: int = 0) -> dict[str, object]:
    """Return where in the ledger's history a change stands, by which instant, what quota and hard budget then left.

    With it the audit can be replayed (I21). Quota and budget are those that this write of the ledger began with.
    """
    facts: dict[str, object] = {
        "ledgerRevision": book.revision,
        "ledgerIndex": book.index + further,
        "ledgerAt": book.now.isoformat(),
        "quota": dict(book.quota),
    }
    if book.budget_left is not None:
        holds = {gpu_type: str(hold) for gpu_type in book.rates if (hold := book.first_hold(gpu_type)) is not None}
        facts["budget"] = {"left": str(book.budget_left), "holds": holds}
    return facts


def bounds_facts(bounds: Governance) -> dict[str, object]:
    """Return what an audit entry tells of Dev Center's bounds."""
    return {"serverlessGpuSessionsMode": bounds.mode, "maxConcurrentSessionsPerProject": bounds.max_concurrent}


def outbox_entry(
    event_type: EventType,
    subject: str,
    data: dict[str, object],
    actor: Actor,
    at: datetime,
    *,
    seq: int = 0,
    op: str | None = None,
) -> Insert:
    """Return an event and audit entry for the transaction of the change that it tells of.

    `op` names it where the change has no row of ours: made again with the same name and instant, it is the same entry.
    """
    row = OutboxRow(
        event_type=event_type,
        subject=subject,
        at=at,
        data=data,
        actor=actor.id,
        request=actor.request,
        source=actor.source,
        seq=seq,
    )
    return Insert(names.outbox_key(int(at.timestamp() * 1000), op or ids.new_op()), row)
