"""What a person is told of a detached program that has ended, and its output as far as it is on this machine."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime

from devboxgpu.blocking_io import StandardOutput
from devboxgpu.detached_store import DetachedShell, DetachedStore
from devboxgpu.errors import EXIT_CLIENT_FAILED
from devboxgpu.notices import Notices
from devboxgpu.output_log import Piece, read_log
from devboxgpu.wording import duration, end_reason, moment

STDERR = 2
KEEPER_PATIENCE_S = 75.0
LOOK_EVERY_S = 0.1


async def after_the_end(store: DetachedStore, record: DetachedShell, notices: Notices) -> int:
    """Writes its output and says how it ended; its exit code, or 125 where that is not known."""
    record = await _settled(store, record)
    await write_pieces(list(read_log(store.log_files(record.shell))))
    say_end(record, notices)
    return record.exit_code if record.exit_code is not None else EXIT_CLIENT_FAILED


async def _settled(store: DetachedStore, record: DetachedShell) -> DetachedShell:
    """As its keeper leaves it: while that still saves and closes, it is waited for."""
    give_up_at = time.monotonic() + KEEPER_PATIENCE_S
    while record.ended_at is None and time.monotonic() < give_up_at and store.lock(record.shell).is_held():
        await asyncio.sleep(LOOK_EVERY_S)
        record = store.get(record.shell) or record
    return store.get(record.shell) or record


async def write_pieces(pieces: list[Piece]) -> None:
    """Output and error output, each where it belongs. Raises BrokenPipeError when nobody reads."""
    out, err = StandardOutput(), StandardOutput(STDERR)
    for data, is_error in pieces:
        await (err if is_error else out).write(data)


def say_end(record: DetachedShell, notices: Notices) -> None:
    """One line: which session, how long, for how much, when and why, and the exit code."""
    at = datetime.fromtimestamp(record.ended_at, UTC) if record.ended_at is not None else None
    parts = [
        f"session {record.session} ended" + (f" at {moment(at)}" if at is not None else ""),
        duration(record.lasted_s) if record.lasted_s is not None else "",
        record.cost or "cost unknown",
        _why(record),
        f"exit {record.exit_code}" if record.exit_code is not None else "exit code unknown",
    ]
    notices.say(" · ".join(part for part in parts if part))


def _why(record: DetachedShell) -> str:
    if record.exit_code is not None or not record.end_reason:
        return record.end_note
    return end_reason(record.end_reason)
