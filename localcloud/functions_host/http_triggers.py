"""Serves the app's HTTP functions: finds the route, checks the key, calls, and answers as the vendor's host does."""

import logging
import time
from collections.abc import Mapping

from localcloud.functions_host.access_keys import AccessKeys, given_key
from localcloud.functions_host.functions import AppFunction, BindingType
from localcloud.functions_host.http_exchange import HttpAnswer, HttpCall, answer_from, request_datum
from localcloud.functions_host.inputs import gather_inputs
from localcloud.functions_host.invocation import current_invocation
from localcloud.functions_host.routes import RouteTable
from localcloud.functions_host.worker import InvocationFailed, Outcome, Worker, new_invocation

_NOT_FOUND = HttpAnswer(status=404)
_UNAUTHORIZED = HttpAnswer(status=401)
_FAILED = HttpAnswer(status=500)
_log = logging.getLogger("host.http")


class HttpTriggers:
    """The HTTP functions of one app."""

    def __init__(self, *, routes: RouteTable, worker: Worker, client_binding: str, keys: AccessKeys | None) -> None:
        self._routes = routes
        self._worker = worker
        self._client_binding = client_binding
        self._keys = keys

    async def handle(self, call: HttpCall) -> HttpAnswer:
        """Answer a request below the route prefix, or 404."""
        found = self._routes.find(call.method, call.path[1:])
        if found is None:
            return _NOT_FOUND
        route, values = found
        if not route.function.is_available:
            return _NOT_FOUND
        if not self._may_call(route.function, call):
            return _UNAUTHORIZED
        return await self.call(route.function, call, values)

    async def call(self, function: AppFunction, call: HttpCall, values: Mapping[str, str]) -> HttpAnswer:
        """Call an HTTP function, whoever asked for it."""
        invocation = new_invocation(function)
        token = current_invocation.set(invocation)
        begun = time.perf_counter()
        try:
            inputs = gather_inputs(function, request_datum(call, values), self._client_binding)
            outcome = await self._worker.call(function, inputs, invocation)
            answer = _answer(function, outcome)
        except InvocationFailed as error:
            _log.error("%s %s failed: %s", call.method, call.path, error.summary)
            return _FAILED
        else:
            took_ms = (time.perf_counter() - begun) * 1000
            _log.info("%s %s -> %d in %.0f ms", call.method, call.path, answer.status, took_ms)
            return answer
        finally:
            current_invocation.reset(token)

    def _may_call(self, function: AppFunction, call: HttpCall) -> bool:
        level = str(function.trigger.settings.get("authLevel", "FUNCTION")).upper()
        if self._keys is None or level == "ANONYMOUS":
            return True
        key = given_key(call.headers, call.query)
        return self._keys.is_master(key) if level == "ADMIN" else self._keys.opens_function(function.name, key)


def _answer(function: AppFunction, outcome: Outcome) -> HttpAnswer:
    if outcome.returned is not None:
        return answer_from(outcome.returned)
    for binding in function.bindings:
        if binding.type == BindingType.HTTP_ANSWER and binding.name in outcome.outputs:
            return answer_from(outcome.outputs[binding.name])
    return _FAILED
