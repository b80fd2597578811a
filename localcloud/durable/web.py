"""The engine's two HTTP APIs, framework-free: the one of the durable client, and the public webhooks.

Both have the same routes; the client's has the fault switches and the bill besides.
"""

import json
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any
from urllib.parse import unquote

from localcloud.durable import answers
from localcloud.durable.bill import bill_view
from localcloud.durable.client_api import DurableClientApi, WrongState
from localcloud.durable.engine import DurableEngine
from localcloud.durable.faults import FaultsError
from localcloud.durable.journal import JournalError
from localcloud.durable.management_urls import ManagementUrls
from localcloud.durable.traps import StrictRefusal
from localcloud.durable.web_entities import EntityRoutes
from localcloud.durable.web_instances import InstanceRoutes
from localcloud.durable.web_messages import RPC_PREFIX, DurableAddresses, WebRequest, WebResponse
from localcloud.durable.web_query import QueryError, WebQuery

__all__ = ["DurableAddresses", "DurableHttpApi", "WebRequest", "WebResponse"]

Handler = Callable[[WebRequest, WebQuery, Sequence[str]], Coroutine[Any, Any, WebResponse]]
_FAULTS = "_faults"
_BILL = "_bill"
#: How long the vendor's host tries to reach its storage: 5.2 to 5.9 s were seen (durable-measured.md 4).
_PATIENCE = timedelta(seconds=5.5)


class DurableHttpApi:
    """Answers requests below /durabletask/ (rpc) and /runtime/webhooks/durabletask/ (webhook)."""

    def __init__(self, engine: DurableEngine, addresses: DurableAddresses) -> None:
        self._engine = engine
        self._urls = ManagementUrls(hub=engine.options.hub_name, addresses=addresses)
        client = DurableClientApi(engine)
        self._routes: dict[str, Handler] = {
            **InstanceRoutes(engine, client, self._urls).table(),
            **EntityRoutes(engine, client).table(),
        }

    def client_binding(self) -> str:
        """The text of a durable client binding."""
        return self._urls.client_binding()

    async def rpc(self, request: WebRequest) -> WebResponse:
        """A call of the durable client, of the fault switches (`_faults`), or for the bill (`_bill[?instance=ID]`)."""
        if request.raw_path.strip("/") == _FAULTS:
            return await self._faults(request)
        if request.raw_path.strip("/") == _BILL and request.method == "GET":
            wanted = WebQuery(request.query).text("instance")
            lines = [*self._engine.journal.bill(wanted), *self._engine.reads.lines()]
            return answers.json_answer(bill_view(lines, wanted))
        return await self.webhook(replace(request, prefix=RPC_PREFIX))

    async def webhook(self, request: WebRequest) -> WebResponse:
        """A call of the public API; the caller has checked the key."""
        parts = [unquote(part) for part in request.raw_path.strip("/").split("/")]
        if self._engine.faults.storage_back_at(self._engine.factory.now()) is not None:
            await self._engine.factory.sleep(_PATIENCE)
            return _went_wrong("Azure.RequestFailedException", JournalError("the storage is away (a fault switch)"))
        handler = self._routes.get(_shape(request.method, parts))
        if handler is None:
            return answers.NOT_FOUND
        try:
            return await handler(request, WebQuery(request.query), parts)
        except QueryError as error:
            return answers.json_answer(str(error), 400)
        except StrictRefusal as error:
            return answers.exception(400, told="Strict mode refuses this call", kind="StrictRefusal", text=str(error))
        except WrongState as error:
            return _went_wrong("System.InvalidOperationException", error)
        except JournalError as error:
            return _went_wrong(JournalError.__name__, error)

    async def _faults(self, request: WebRequest) -> WebResponse:
        match request.method:
            case "GET":
                pass
            case "DELETE":
                self._engine.clear_faults()
            case "PUT":
                try:
                    wanted = json.loads(request.body or b"{}")
                    if not isinstance(wanted, dict):
                        raise FaultsError("the body must be a JSON object of fault switches")
                    await self._engine.change_faults(wanted)
                except ValueError as error:
                    return answers.json_answer({"error": {"code": "InvalidFaults", "message": str(error)}}, 400)
            case _:
                return answers.NOT_FOUND
        return answers.json_answer(self._engine.faults.shown())


def _went_wrong(kind: str, error: Exception) -> WebResponse:
    told = "Something went wrong while processing your request"
    return answers.exception(500, told=told, kind=kind, text=str(error))


def _shape(method: str, parts: Sequence[str]) -> str:
    """The key of a route: the method, then words as they are and a star for each id or name."""
    fixed = [part.lower() if number in (0, 2) else "*" for number, part in enumerate(parts)]
    if parts[0].lower() != "instances" and len(parts) > 2:
        fixed[2] = "*"
    return " ".join((method, *fixed))
