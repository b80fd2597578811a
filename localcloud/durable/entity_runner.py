"""Runs entities: all operations that have come for one entity are one batch, one call, one commit."""

import json
from collections.abc import Sequence
from typing import Any

from localcloud.durable import history as events
from localcloud.durable.changes import Changes
from localcloud.durable.entity_messages import response
from localcloud.durable.journal import Journal
from localcloud.durable.ports import FunctionCaller, FunctionFailed
from localcloud.durable.rows import Entity, Message
from localcloud.durable.sanitizer import without_credentials
from localcloud.durable.texts import instant_text, json_or_text, to_json
from localcloud.durable.work_factory import WorkFactory


class EntityRunner:
    """Turns messages to an entity into a call, and its answer into changes."""

    def __init__(self, *, caller: FunctionCaller, factory: WorkFactory, journal: Journal) -> None:
        self._caller = caller
        self._factory = factory
        self._journal = journal

    async def run(self, entity_id: str, batch: Sequence[Message]) -> Changes:
        """Call the entity function with the whole batch; an entity whose function is gone swallows its messages."""
        changes = Changes()
        changes.remove_messages(batch)
        _, name, _ = entity_id.split("@", 2)
        if self._caller.kind_of(name) != "entity":
            return changes
        stored = self._journal.entity(entity_id)
        requests: list[dict[str, Any]] = [json.loads(message.event["Input"]) for message in batch]
        try:
            text = await self._caller.call_entity(name, _payload(entity_id, stored, requests))
        except FunctionFailed as failure:
            told = to_json(without_credentials(failure.text))
            self._answer(changes, requests, [{"isError": True, "result": told} for _ in requests])
            return changes
        answer: dict[str, Any] = json.loads(text)
        exists = bool(answer["entityExists"])
        state = answer["entityState"] if exists else None
        changes.put_entity(Entity(entity_id=entity_id, exists=exists, state=state, updated_at=self._factory.now()))
        self._answer(changes, requests, answer["results"])
        return changes

    def _answer(self, changes: Changes, requests: Sequence[dict[str, Any]], results: Sequence[dict[str, Any]]) -> None:
        for request, result in zip(requests, results, strict=False):
            if request.get("signal") or not request.get("parent"):
                continue
            told = response(result["result"], failed=bool(result["isError"]))
            raised = events.event_raised(instant_text(self._factory.now()), request["id"], told)
            changes.add_message(
                self._factory.message(request["parent"], raised, execution_id=request.get("parentExecution"))
            )


def _payload(entity_id: str, stored: Entity | None, requests: Sequence[dict[str, Any]]) -> str:
    _, name, key = entity_id.split("@", 2)
    exists = stored is not None and stored.exists
    batch = [
        {
            "name": request["op"],
            "input": request.get("input"),
            "isSignal": bool(request.get("signal")),
            "id": request["id"],
        }
        for request in requests
    ]
    state = stored.state if exists and stored is not None else None
    return json.dumps({"self": {"name": name, "key": key}, "exists": exists, "state": state, "batch": batch}, indent=2)


def shown_state(entity: Entity) -> Any:
    """An entity's state as an answer shows it; null for one that was deleted."""
    return json_or_text(entity.state) if entity.exists else None
