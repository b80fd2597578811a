"""HTTP routes of entities: signal, read, list, delete."""

from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from localcloud.durable import answers
from localcloud.durable.client_api import DurableClientApi
from localcloud.durable.engine import DurableEngine
from localcloud.durable.entity_runner import shown_state
from localcloud.durable.errors import no_such_function
from localcloud.durable.texts import to_json, whole_seconds
from localcloud.durable.web_messages import WebRequest, WebResponse
from localcloud.durable.web_query import WebQuery

Handler = Callable[[WebRequest, WebQuery, Sequence[str]], Coroutine[Any, Any, WebResponse]]


class EntityRoutes:
    """What may be asked of entities over HTTP."""

    def __init__(self, engine: DurableEngine, client: DurableClientApi) -> None:
        self._engine = engine
        self._client = client

    def table(self) -> dict[str, Handler]:
        return {
            "GET entities": self._list,
            "GET entities *": self._list,
            "GET entities * *": self._read,
            "POST entities * *": self._signal,
            "DELETE entities * *": self._delete,
        }

    async def _read(self, _request: WebRequest, _query: WebQuery, parts: Sequence[str]) -> WebResponse:
        entity = self._client.entity(parts[1], parts[2])
        return answers.NOT_FOUND if entity is None else answers.json_answer(shown_state(entity))

    async def _list(self, _request: WebRequest, query: WebQuery, parts: Sequence[str]) -> WebResponse:
        fetch_state = query.flag("fetchState", default=False)
        found = []
        for entity in self._client.entities(parts[1] if len(parts) > 1 else ""):
            _, name, key = entity.entity_id.split("@", 2)
            one = {
                "entityId": {"name": name, "key": key},
                "lastOperationTime": whole_seconds(entity.updated_at),
                "state": shown_state(entity) if fetch_state else None,
            }
            found.append(one)
        return answers.json_answer(found)

    async def _signal(self, request: WebRequest, query: WebQuery, parts: Sequence[str]) -> WebResponse:
        return await self._send(parts, query.text("op") or "", request.body.decode("utf-8"))

    async def _delete(self, _request: WebRequest, _query: WebQuery, parts: Sequence[str]) -> WebResponse:
        return await self._send(parts, "delete", to_json(""))

    async def _send(self, parts: Sequence[str], operation: str, input_text: str) -> WebResponse:
        name, key = parts[1], parts[2]
        if self._engine.caller.kind_of(name) != "entity":
            return answers.message(no_such_function(name, "an entity", self._engine.known_functions("entity")), 400)
        await self._client.signal_entity(name, key, operation, input_text)
        return answers.ACCEPTED
