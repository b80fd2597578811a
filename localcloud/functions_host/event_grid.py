"""The webhook by which Event Grid delivers to the app's functions (reference/functions-host.md 4.5)."""

import asyncio
import json
import logging
from collections.abc import Mapping
from typing import Any

from azure.functions.meta import Datum

from localcloud.functions_host.functions import AppFunction, BindingType, FunctionTable
from localcloud.functions_host.http_exchange import HttpAnswer, HttpCall, text_answer
from localcloud.functions_host.inputs import gather_inputs
from localcloud.functions_host.invocation import current_invocation
from localcloud.functions_host.url_text import read_query
from localcloud.functions_host.worker import InvocationFailed, Worker, new_invocation

_ACCEPTED = HttpAnswer(status=202)
_BAD_REQUEST = HttpAnswer(status=400)
_CANNOT_READ = HttpAnswer(status=500)
_HANDSHAKE = HttpAnswer(status=200, headers=(("Webhook-Allowed-Origin", "eventgrid.azure.net"),))
_log = logging.getLogger("host.event_grid")


class EventGridTriggers:
    """The Event Grid functions of one app."""

    def __init__(self, *, functions: FunctionTable, worker: Worker, client_binding: str) -> None:
        self._functions = functions
        self._worker = worker
        self._client_binding = client_binding

    async def handle(self, call: HttpCall) -> HttpAnswer:
        """Answer a delivery or a handshake; the key has been checked."""
        name = read_query(call.query).get("functionName", "")
        function = self._functions.named(name)
        if function is None or function.trigger.type != BindingType.EVENT_GRID_TRIGGER or not function.is_available:
            return text_answer(404, f"cannot find function: '{name}'")
        if call.method == "OPTIONS":
            return _HANDSHAKE
        kind = call.headers.get("aeg-event-type", "").lower()
        if kind == "unsubscribe":
            return _ACCEPTED
        if call.method != "POST" or kind not in ("notification", "subscriptionvalidation"):
            return _BAD_REQUEST
        try:
            document = json.loads(call.body)
            return _validated(document) if kind != "notification" else await self._deliver(function, _events(document))
        except (ValueError, TypeError, KeyError, IndexError) as error:
            _log.error("a delivery to %s cannot be read: %s: %s", name, type(error).__name__, error)
            return _CANNOT_READ

    async def invoke(self, function: AppFunction, event: Mapping[str, Any]) -> None:
        """Call a function with one event; raises InvocationFailed."""
        invocation = new_invocation(function)
        token = current_invocation.set(invocation)
        try:
            inputs = gather_inputs(function, Datum(json.dumps(event), "json"), self._client_binding)
            await self._worker.call(function, inputs, invocation)
        except InvocationFailed as error:
            _log.error("event %s failed: %s", event.get("id"), error.summary)
            raise
        else:
            _log.info("event %s done", event.get("id"))
        finally:
            current_invocation.reset(token)

    async def _deliver(self, function: AppFunction, events: list[Mapping[str, Any]]) -> HttpAnswer:
        calls = [asyncio.create_task(self.invoke(function, event)) for event in events]
        results = await asyncio.gather(*calls, return_exceptions=True)
        for result in results:
            if isinstance(result, InvocationFailed):
                return text_answer(500, f"Exception while executing function: Functions.{function.name}")
            if result is not None:
                raise result
        return _ACCEPTED


def _events(document: Any) -> list[Mapping[str, Any]]:
    events = document if isinstance(document, list) else [document]
    if not all(isinstance(event, dict) for event in events):
        raise TypeError("the body must be an event, or an array of events")
    return events


def _validated(document: Any) -> HttpAnswer:
    data = document[0]["data"] if isinstance(document, list) else json.loads(document["data"])
    return text_answer(200, json.dumps({"validationResponse": data["validationCode"]}))
