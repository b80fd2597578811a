"""Joins the durable engine to this host: the engine calls the app's functions, and its clients call the engine."""

import logging
import re
from collections.abc import Mapping
from pathlib import Path

from azure.functions.meta import Datum

from localcloud.durable.activity_runner import worker_killed
from localcloud.durable.engine import DurableEngine
from localcloud.durable.journal import JournalError
from localcloud.durable.options import DurableOptions
from localcloud.durable.ports import FunctionFailed, FunctionKind
from localcloud.durable.web import DurableAddresses, DurableHttpApi, WebRequest, WebResponse
from localcloud.functions_host.clock import Clock
from localcloud.functions_host.functions import AppFunction, BindingType, FunctionTable
from localcloud.functions_host.http_exchange import HttpAnswer, HttpCall
from localcloud.functions_host.inputs import gather_inputs
from localcloud.functions_host.invocation import current_invocation
from localcloud.functions_host.running_calls import FunctionTimedOut, WorkerReplaced
from localcloud.functions_host.state_folder import StateUnusable
from localcloud.functions_host.worker import InvocationFailed, Worker, new_invocation

RPC_PREFIX = "/durabletask/"
WEBHOOK_PREFIX = "/runtime/webhooks/durabletask/"
JOURNAL = "durable.sqlite"
_INSTANCE_ID = re.compile(r'(?<!\\)"instanceId"\s*:\s*"((?:[^"\\]|\\.)*)"')
_ENCLOSED = re.compile(r"\n\n\$OutOfProcData\$| \n \{\"\$type\"")
_KINDS: Mapping[str, FunctionKind] = {
    BindingType.ORCHESTRATION_TRIGGER: "orchestration",
    BindingType.ACTIVITY_TRIGGER: "activity",
    BindingType.ENTITY_TRIGGER: "entity",
}
_log = logging.getLogger("host.durable")


class AppFunctionCaller:
    """The app's orchestrators, activities and entities, as the engine calls them."""

    def __init__(self, functions: FunctionTable, worker: Worker) -> None:
        self._worker = worker
        self._by_kind: dict[str, dict[str, AppFunction]] = {
            kind: {f.durable_name.lower(): f for f in functions.triggered_by(BindingType(trigger)) if f.is_available}
            for trigger, kind in _KINDS.items()
        }
        self.client_binding = ""

    def kind_of(self, name: str) -> FunctionKind | None:
        return next((kind for kind in _KINDS.values() if name.lower() in self._by_kind[kind]), None)

    def names_of(self, kind: str) -> list[str]:
        """The names of all functions of a kind, which the vendor's error texts list."""
        return [function.durable_name for function in self._by_kind.get(kind, {}).values()]

    def registered_name(self, name: str) -> str:
        kind = self.kind_of(name)
        return self._by_kind[kind][name.lower()].durable_name if kind else name

    async def call_orchestrator(self, name: str, payload: str) -> str:
        found = _INSTANCE_ID.search(payload)
        return await self._call("orchestration", name, payload, found[1] if found else "")

    async def call_entity(self, name: str, payload: str) -> str:
        return await self._call("entity", name, payload, "")

    async def call_activity(self, name: str, input_text: str | None, instance_id: str) -> str | None:
        return await self._call("activity", name, "null" if input_text is None else input_text, instance_id)

    async def _call(self, kind: FunctionKind, name: str, payload: str, instance_id: str) -> str:
        function = self._by_kind[kind][name.lower()]
        invocation = new_invocation(function, instance_id=instance_id)
        token = current_invocation.set(invocation)
        try:
            inputs = gather_inputs(function, Datum(payload, "string"), self.client_binding)
            outcome = await self._worker.call(function, inputs, invocation)
        except InvocationFailed as error:
            _log.log(_severity(function), "%s failed: %s%s", kind, _own_words(error), error.place)
            raise _as_the_engine_hears(error) from error
        else:
            _log.debug("%s called", kind)
            return str(outcome.returned.value) if outcome.returned else "null"
        finally:
            current_invocation.reset(token)


class DurableExtension:
    """The engine of one app with its two HTTP faces; made only where the app has durable functions or clients."""

    def __init__(
        self,
        *,
        functions: FunctionTable,
        worker: Worker,
        options: DurableOptions,
        state: Path,
        clock: Clock,
        addresses: DurableAddresses,
    ) -> None:
        caller = AppFunctionCaller(functions, worker)
        self._engine = DurableEngine(journal=state / JOURNAL, options=options, caller=caller, clock=clock)
        self._api = DurableHttpApi(self._engine, addresses)
        self.client_binding = caller.client_binding = self._api.client_binding()

    async def start(self) -> None:
        """Open the journal and carry on with what it holds; raises StateUnusable."""
        try:
            await self._engine.start()
        except JournalError as error:
            raise StateUnusable(str(error)) from error

    async def stop(self, drain_s: float) -> None:
        await self._engine.stop(drain_s)

    async def rpc(self, call: HttpCall) -> HttpAnswer:
        """Answer a call of the app's durable client."""
        return _answer(await self._api.rpc(_request(call, RPC_PREFIX)))

    async def webhook(self, call: HttpCall) -> HttpAnswer:
        """Answer a call of the public API; the key has been checked."""
        return _answer(await self._api.webhook(_request(call, WEBHOOK_PREFIX)))


def _as_the_engine_hears(failed: InvocationFailed) -> FunctionFailed:
    if isinstance(failed.error, WorkerReplaced):
        return worker_killed()
    text = failed.message if isinstance(failed.error, FunctionTimedOut) else failed.rpc_text
    return FunctionFailed(text, exception_type=failed.exception_type, message=failed.message, stack=failed.stack)


def _severity(function: AppFunction) -> int:
    # An orchestrator fails by design when an activity does; the activity's own line is the error.
    return logging.ERROR if function.trigger.type == BindingType.ACTIVITY_TRIGGER else logging.WARNING


def _own_words(failed: InvocationFailed) -> str:
    """The error without the state and the .NET exceptions that the vendor's protocol puts into it."""
    return f"{failed.exception_type}: {_ENCLOSED.split(failed.message, maxsplit=1)[0]}"


def _request(call: HttpCall, prefix: str) -> WebRequest:
    return WebRequest(
        method=call.method,
        raw_path=call.raw_path[len(prefix) :],
        query=call.query,
        headers=call.headers,
        body=call.body,
        origin=call.origin,
    )


def _answer(response: WebResponse) -> HttpAnswer:
    return HttpAnswer(status=response.status, headers=tuple(response.headers.items()), body=response.body)
