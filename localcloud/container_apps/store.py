"""Keeps records in one SQLite file, so that a killed process finds everything again.

Commits are in the operating system's hands when a call returns: they outlive the process, which is what `kill -9` asks.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import TypeVar

import msgspec

Record = TypeVar("Record")


class Store:
    """Records by kind and key, as JSON."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._connection = sqlite3.connect(path, isolation_level=None)
        self._connection.execute("PRAGMA journal_mode=WAL")
        self._connection.execute("PRAGMA synchronous=NORMAL")
        self._connection.execute(
            "CREATE TABLE IF NOT EXISTS record (kind TEXT, key TEXT, body BLOB NOT NULL, PRIMARY KEY (kind, key))"
        )

    def put(self, kind: str, key: str, record: object) -> None:
        self._connection.execute(
            "INSERT INTO record VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET body = excluded.body",
            (kind, key, msgspec.json.encode(record)),
        )

    def delete(self, kind: str, key: str) -> None:
        self._connection.execute("DELETE FROM record WHERE kind = ? AND key = ?", (kind, key))

    def load(self, kind: str, record_type: type[Record]) -> dict[str, Record]:
        rows = self._connection.execute("SELECT key, body FROM record WHERE kind = ? ORDER BY rowid", (kind,))
        return {key: msgspec.json.decode(body, type=record_type) for key, body in rows}

    def close(self) -> None:
        self._connection.close()
