"""The tables of the journal, and how their rows become values."""

import json
from datetime import datetime
from typing import Any

from localcloud.durable.decisions import Status
from localcloud.durable.rows import Entity, Instance

VERSION = 1
SCHEMA = """
CREATE TABLE instances (instance_id TEXT PRIMARY KEY, execution_id TEXT NOT NULL, name TEXT NOT NULL, version TEXT,
  input TEXT, status TEXT NOT NULL, custom_status TEXT, output TEXT, created_at TEXT NOT NULL, updated_at TEXT NOT NULL,
  generation INTEGER, parent TEXT) WITHOUT ROWID;
CREATE TABLE history (instance_id TEXT NOT NULL, seq INTEGER NOT NULL, event TEXT NOT NULL,
  PRIMARY KEY (instance_id, seq)) WITHOUT ROWID;
CREATE TABLE messages (id INTEGER PRIMARY KEY, instance_id TEXT NOT NULL, execution_id TEXT, visible_at TEXT NOT NULL,
  event TEXT NOT NULL, to_entity INTEGER NOT NULL);
CREATE TABLE activities (id INTEGER PRIMARY KEY, instance_id TEXT NOT NULL, execution_id TEXT NOT NULL,
  task_id INTEGER NOT NULL, name TEXT NOT NULL, input TEXT);
CREATE TABLE entities (entity_id TEXT PRIMARY KEY, present INTEGER NOT NULL, state TEXT, updated_at TEXT NOT NULL)
  WITHOUT ROWID;
"""
SELECT_INSTANCES = (
    "SELECT instance_id, execution_id, name, version, input, status, custom_status, output, created_at, updated_at,"
    " generation, parent FROM instances WHERE "
)


def instance_of(row: tuple[Any, ...]) -> Instance:
    return Instance(
        instance_id=row[0],
        execution_id=row[1],
        name=row[2],
        version=row[3],
        input_text=row[4],
        status=Status(row[5]),
        custom_status=row[6],
        output=row[7],
        created_at=datetime.fromisoformat(row[8]),
        updated_at=datetime.fromisoformat(row[9]),
        generation=row[10],
        parent=None if row[11] is None else json.loads(row[11]),
    )


def entity_of(row: tuple[Any, ...]) -> Entity:
    return Entity(entity_id=row[0], exists=bool(row[1]), state=row[2], updated_at=datetime.fromisoformat(row[3]))
