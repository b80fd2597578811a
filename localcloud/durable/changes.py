"""What one work item changes in the journal, collected before it is committed as a whole."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from localcloud.durable.bill import Statement, Step, booked, kept_for_function
from localcloud.durable.history import Event
from localcloud.durable.rows import Activity, Entity, Instance, Message
from localcloud.durable.texts import to_json

_PUT_INSTANCE = (
    "INSERT OR REPLACE INTO instances (instance_id, execution_id, name, version, input, status, custom_status, output,"
    " created_at, updated_at, generation, parent) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_REMOVE_INSTANCE = (
    "DELETE FROM instances WHERE instance_id = ?",
    "DELETE FROM messages WHERE instance_id = ?",
    "DELETE FROM activities WHERE instance_id = ?",
)


@dataclass(slots=True)
class Changes:
    """What one work item changes; committed as a whole."""

    statements: list[Statement] = field(default_factory=list)
    messages: list[Message] = field(default_factory=list)
    activities: list[Activity] = field(default_factory=list)

    def put_instance(self, row: Instance) -> None:
        values = (
            row.instance_id, row.execution_id, row.name, row.version, row.input_text, row.status.value,
            row.custom_status, row.output, row.created_at.isoformat(), row.updated_at.isoformat(), row.generation,
            None if row.parent is None else to_json(row.parent),
        )  # fmt: skip
        self.statements.append((_PUT_INSTANCE, values))

    def append_history(self, instance_id: str, first: int, events: Iterable[Event]) -> None:
        for number, entry in enumerate(events, first):
            self.statements.append(("INSERT INTO history VALUES (?, ?, ?)", (instance_id, number, to_json(entry))))

    def clear_history(self, instance_id: str) -> None:
        self.statements.append(("DELETE FROM history WHERE instance_id = ?", (instance_id,)))

    def book(self, instance_id: str, function: str, step: Step, times: int = 1) -> None:
        """Add to the bill."""
        self.statements.append(booked(instance_id, function, step, times))

    def remove_instance(self, instance_id: str) -> None:
        """Purge: the row, the history, and what is on its way to it; the bill keeps its lines for the function."""
        self.clear_history(instance_id)
        self.statements += kept_for_function(instance_id)
        self.statements += [(sql, (instance_id,)) for sql in _REMOVE_INSTANCE]

    def add_message(self, message: Message) -> None:
        values = (
            message.id, message.instance_id, message.execution_id, message.visible_at.isoformat(),
            to_json(message.event), int(message.to_entity),
        )  # fmt: skip
        self.statements.append(("INSERT INTO messages VALUES (?, ?, ?, ?, ?, ?)", values))
        self.messages.append(message)

    def remove_messages(self, messages: Iterable[Message]) -> None:
        self.statements += [("DELETE FROM messages WHERE id = ?", (message.id,)) for message in messages]

    def add_activity(self, work: Activity) -> None:
        values = (work.id, work.instance_id, work.execution_id, work.task_id, work.name, work.input_text)
        self.statements.append(("INSERT INTO activities VALUES (?, ?, ?, ?, ?, ?)", values))
        self.activities.append(work)

    def remove_activity(self, work: Activity) -> None:
        self.statements.append(("DELETE FROM activities WHERE id = ?", (work.id,)))

    def put_entity(self, row: Entity) -> None:
        values = (row.entity_id, int(row.exists), row.state, row.updated_at.isoformat())
        self.statements.append(("INSERT OR REPLACE INTO entities VALUES (?, ?, ?, ?)", values))
