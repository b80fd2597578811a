"""The journal: one SQLite file that survives kill -9 at any instant.

Writes are made by one thread, and all that is ready by then shares one commit; each set of changes is in it as a whole
or not at all. A commit is on the disk before its future resolves (WAL, synchronous=FULL).
"""

import asyncio
import fcntl
import json
import sqlite3
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import IO, Any

from localcloud.durable import bill
from localcloud.durable.changes import Changes
from localcloud.durable.errors import EngineError
from localcloud.durable.history import Event
from localcloud.durable.journal_rows import SCHEMA, SELECT_INSTANCES, VERSION, entity_of, instance_of
from localcloud.durable.rows import Activity, Entity, Instance, InstanceQuery, Message

#: A write that met the end of the disk, or of what the process may write.
_NO_ROOM = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_WRITE)


class JournalError(EngineError):
    """The journal cannot be used: held by another host, damaged, or not written any more."""


class NotWritten(JournalError):
    """Nothing of the changes was written, and the journal is sound: the same may be tried again later.

    `again_at` tells when, where that is known.
    """

    def __init__(self, told: str, *, again_at: datetime | None = None) -> None:
        super().__init__(told)
        self.again_at = again_at


class Journal:
    """The open journal. Reads see what is committed."""

    def __init__(self, path: Path, *, in_thread: bool = True) -> None:
        """Without a thread of its own a commit holds up the loop, and every run takes the same turns."""
        self._in_thread = in_thread
        self._path = path
        self._lock: IO[str] | None = None
        self._reader: sqlite3.Connection | None = None
        self._writer: sqlite3.Connection | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="journal")
        self._waiting: list[tuple[list[bill.Statement], asyncio.Future[None]]] = []
        self._writing: asyncio.Task[None] | None = None
        self._broken: JournalError | None = None
        self.commits = 0

    # -- life ---------------------------------------------------------------------------------------------------
    def open(self) -> None:
        """Take the lock and open the file, making it where it is missing; raises JournalError."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._take_lock()
        try:
            self._writer = self._connect()
            self._check(self._writer)
            self._writer.execute(bill.SCHEMA)  # it came later than the first journals
            self._reader = self._connect()
        except sqlite3.OperationalError as error:
            self._release()
            raise JournalError(
                f"the journal {self._path} cannot be opened ({error}); look at its disk and at who may write there"
            ) from error
        except sqlite3.Error as error:
            self._release()
            raise JournalError(
                f"the journal {self._path} is damaged or no journal of this engine ({error}); "
                f"move it away to start with an empty one, or put back a copy"
            ) from error
        except JournalError:
            self._release()
            raise

    def _take_lock(self) -> None:
        lock = self._path.with_name(self._path.name + ".lock").open("a+", encoding="utf-8")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            lock.close()
            raise JournalError(
                f"the journal {self._path} is in use by another functions host; stop that one, "
                f"or give this one a state folder of its own"
            ) from error
        self._lock = lock

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, check_same_thread=False, isolation_level=None, timeout=30)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        return connection

    def _check(self, connection: sqlite3.Connection) -> None:
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        if version == 0 and tables == 0:
            connection.executescript(f"BEGIN; {SCHEMA} PRAGMA user_version = {VERSION}; COMMIT;")
            return
        if version != VERSION:
            raise JournalError(
                f"the journal {self._path} has version {version}, this engine reads version {VERSION}; "
                f"run the engine that wrote it, or move the file away to start with an empty one"
            )
        told = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
        if told != "ok":
            raise JournalError(
                f"the journal {self._path} is damaged ({told}); "
                f"move it away to start with an empty one, or put back a copy"
            )

    async def close(self) -> None:
        """Write what is waiting, then close and give the lock back."""
        if self._writing is not None:
            await self._writing
        self._thread.shutdown(wait=True)
        self._release()

    def _release(self) -> None:
        for connection in (self._reader, self._writer):
            if connection is not None:
                connection.close()
        self._reader = self._writer = None
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    # -- writing ------------------------------------------------------------------------------------------------
    async def commit(self, changes: Changes) -> None:
        """Return when the changes are on the disk; raises JournalError, and from then on always."""
        if self._broken is not None:
            raise self._broken
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((changes.statements, done))
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._write_all())
        await done

    @property
    def is_idle(self) -> bool:
        """Whether nothing waits to be written."""
        return self._writing is None or self._writing.done()

    async def _write_all(self) -> None:
        loop = asyncio.get_running_loop()
        while self._waiting:
            group, self._waiting = self._waiting, []
            try:
                statements = [statements for statements, _ in group]
                if self._in_thread:
                    await loop.run_in_executor(self._thread, self._write, statements)
                else:
                    self._write(statements)
            except sqlite3.Error as error:
                if self._fail(error, group):
                    return
                continue
            for _, done in group:
                if not done.done():
                    done.set_result(None)

    def _fail(self, error: sqlite3.Error, group: list[tuple[list[bill.Statement], asyncio.Future[None]]]) -> bool:
        """Tell those who wait; true where nothing can be written any more.

        A full disk refuses before anything is in the file, so the journal is sound. After any other error, such as one
        of syncing, nobody knows what the disk holds: only a new start can tell.
        """
        is_full = error.sqlite_errorcode in _NO_ROOM if hasattr(error, "sqlite_errorcode") else False
        told: JournalError
        if is_full:
            told = NotWritten(f"the journal {self._path} has no room ({error}); make room on its disk, and try again")
        else:
            told = self._broken = JournalError(
                f"the journal {self._path} cannot be written ({error}); look at the disk and restart the functions host"
            )
            group, self._waiting = [*group, *self._waiting], []
        for _, done in group:
            if not done.done():
                done.set_exception(told)
        return not is_full

    def _write(self, group: Sequence[Sequence[bill.Statement]]) -> None:
        connection = self._opened(self._writer)
        connection.execute("BEGIN IMMEDIATE")
        try:
            for statements in group:
                for sql, values in statements:
                    connection.execute(sql, values)
            connection.execute("COMMIT")
        except sqlite3.Error:
            if connection.in_transaction:
                connection.rollback()
            raise
        self.commits += 1

    # -- reading ------------------------------------------------------------------------------------------------
    def _opened(self, connection: sqlite3.Connection | None) -> sqlite3.Connection:
        if connection is None:
            raise JournalError(f"the journal {self._path} is not open")
        return connection

    def _rows(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        try:
            return self._opened(self._reader).execute(sql, values).fetchall()
        except sqlite3.DatabaseError as error:
            raise JournalError(f"the journal {self._path} cannot be read ({error})") from error

    def _parsed(self, text: str) -> Event:
        try:
            entry: Event = json.loads(text)
        except ValueError as error:
            raise JournalError(
                f"the journal {self._path} is damaged: an event in it is no JSON ({error}); "
                f"move it away to start with an empty one, or put back a copy"
            ) from error
        return entry

    def instance(self, instance_id: str) -> Instance | None:
        rows = self._rows(SELECT_INSTANCES + "instance_id = ?", (instance_id,))
        return instance_of(rows[0]) if rows else None

    def history(self, instance_id: str) -> list[Event]:
        rows = self._rows("SELECT event FROM history WHERE instance_id = ? ORDER BY seq", (instance_id,))
        return [self._parsed(text) for (text,) in rows]

    def instances(self, query: InstanceQuery) -> list[Instance]:
        """Instances in the order of their ids."""
        where, values = ["instance_id >= ?", "instance_id < ?"], [query.prefix, query.prefix + "\U0010ffff"]
        if query.after is not None:
            where.append("instance_id > ?")
            values.append(query.after)
        if query.statuses:
            where.append(f"status IN ({', '.join('?' * len(query.statuses))})")
            values += [status.value for status in query.statuses]
        for sign, bound in ((">=", query.created_from), ("<=", query.created_to)):
            if bound is not None:
                where.append(f"created_at {sign} ?")
                values.append(bound.isoformat())
        sql = SELECT_INSTANCES + " AND ".join(where) + " ORDER BY instance_id LIMIT ?"
        return [instance_of(row) for row in self._rows(sql, (*values, query.top))]

    def messages(self) -> list[Message]:
        """All messages on their way, oldest first."""
        rows = self._rows(
            "SELECT id, instance_id, execution_id, visible_at, event, to_entity FROM messages ORDER BY id"
        )
        return [
            Message(
                id=number,
                instance_id=target,
                execution_id=execution,
                visible_at=datetime.fromisoformat(visible_at),
                event=self._parsed(entry),
                to_entity=bool(to_entity),
            )
            for number, target, execution, visible_at, entry, to_entity in rows
        ]

    def activities(self) -> list[Activity]:
        rows = self._rows("SELECT id, instance_id, execution_id, task_id, name, input FROM activities ORDER BY id")
        names = ("id", "instance_id", "execution_id", "task_id", "name", "input_text")
        return [Activity(**dict(zip(names, row, strict=True))) for row in rows]

    def bill(self, instance_id: str | None = None) -> list[bill.Line]:
        """What was booked, for one instance or for all."""
        rows = self._rows(
            "SELECT instance_id, function, step, times FROM bill WHERE ?1 IS NULL OR instance_id = ?1", (instance_id,)
        )
        return [bill.Line(instance_id=row[0], function=row[1], step=bill.Step(row[2]), times=row[3]) for row in rows]

    def entity(self, entity_id: str) -> Entity | None:
        rows = self._rows("SELECT * FROM entities WHERE entity_id = ?", (entity_id,))
        return entity_of(rows[0]) if rows else None

    def entities(self, prefix: str) -> list[Entity]:
        sql = "SELECT * FROM entities WHERE entity_id >= ? AND entity_id < ? ORDER BY entity_id"
        return [entity_of(row) for row in self._rows(sql, (prefix, prefix + "\U0010ffff"))]
