"""HTTP routes of orchestrations: start, status, control, purge."""

import asyncio
import json
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from localcloud.durable import answers
from localcloud.durable.client_api import DurableClientApi, IdInUse, NoSuchInstance, Outcome, WrongState
from localcloud.durable.decisions import Status
from localcloud.durable.engine import DurableEngine
from localcloud.durable.management_urls import ManagementUrls
from localcloud.durable.net_json import rewritten
from localcloud.durable.rows import Instance
from localcloud.durable.status_view import DoubleKey, history_view, status_body
from localcloud.durable.web_messages import WebRequest, WebResponse
from localcloud.durable.web_query import WebQuery, continuation_token, last_of_page

Handler = Callable[[WebRequest, WebQuery, Sequence[str]], Coroutine[Any, Any, WebResponse]]
_TOKEN_HEADER = "x-ms-continuation-token"  # noqa: S105  # the name of a header
_OUTCOMES = {Outcome.ACCEPTED: answers.ACCEPTED, Outcome.NOT_FOUND: answers.NOT_FOUND, Outcome.FINISHED: answers.GONE}
_STATUS_RETRY_S, _START_RETRY_S = "5", "10"


class InstanceRoutes:
    """What may be asked of orchestrations over HTTP."""

    def __init__(self, engine: DurableEngine, client: DurableClientApi, urls: ManagementUrls) -> None:
        self._engine = engine
        self._client = client
        self._urls = urls

    def table(self) -> dict[str, Handler]:
        return {
            "POST orchestrators *": self._start,
            "POST orchestrators * *": self._start,
            "GET instances": self._list,
            "DELETE instances": self._purge_by,
            "GET instances *": self._status,
            "DELETE instances *": self._purge,
            "POST instances * raiseevent *": self._raise_event,
            "POST instances * terminate": self._terminate,
            "POST instances * suspend": self._suspend,
            "POST instances * resume": self._resume,
            "POST instances * rewind": self._rewind,
            "POST instances * restart": self._restart,
        }

    # -- starting -----------------------------------------------------------------------------------------------
    async def _start(self, request: WebRequest, query: WebQuery, parts: Sequence[str]) -> WebResponse:
        try:
            input_text = _json_body(request)
        except ValueError as error:
            return answers.invalid_json(str(error))
        wanted_id = parts[2] if len(parts) > 2 else None
        try:
            instance = await self._client.start(parts[1], wanted_id, input_text, query.text("version"))
        except IdInUse as error:
            return answers.message(str(error), 409)
        if query.text("timeout") is not None:
            return await self._wait(request, query, instance)
        return self._check_status(request, instance)

    def _check_status(self, request: WebRequest, instance: str) -> WebResponse:
        urls = self._urls.of(request.origin, instance, with_rewind=False)
        headers = {"Location": urls["statusQueryGetUri"], "Retry-After": _START_RETRY_S}
        return answers.json_answer(urls, 202, headers)

    async def _wait(self, request: WebRequest, query: WebQuery, instance: str) -> WebResponse:
        """Create and wait: the output if it comes in time, else what a start answers."""
        factory = self._engine.factory
        until = factory.now() + timedelta(seconds=query.seconds("timeout", 10))
        pause_s = query.seconds("pollingInterval", 1)
        while True:
            row = self._engine.executions.row(instance)
            if row is not None and row.status is Status.COMPLETED:
                return answers.json_answer(status_body(row, show_input=False)["output"])
            if row is not None and row.status.is_final:
                failed = row.status is Status.FAILED
                return answers.json_answer(status_body(row, show_input=True), 500 if failed else 200)
            if factory.now() >= until:
                return self._check_status(request, instance)
            await asyncio.sleep(pause_s)

    async def _restart(self, request: WebRequest, query: WebQuery, parts: Sequence[str]) -> WebResponse:
        try:
            instance = await self._client.restart(
                parts[1], with_new_id=query.flag("restartWithNewInstanceId", default=True)
            )
        except NoSuchInstance:
            return answers.exception(
                400,
                told="InstanceId does not match a valid orchestration instance.",
                kind="System.ArgumentException",
                text=f"No instance with ID '{parts[1]}' was found. (Parameter 'instanceId')",
            )
        except IdInUse as error:
            return answers.exception(
                409,
                told="A non-terminal instance with this instance ID already exists.",
                kind="DurableTask.Core.Exceptions.OrchestrationAlreadyExistsException",
                text=str(error),
            )
        return self._check_status(request, instance)

    # -- status -------------------------------------------------------------------------------------------------
    async def _status(self, request: WebRequest, query: WebQuery, parts: Sequence[str]) -> WebResponse:
        row = self._engine.journal.instance(parts[1])
        self._engine.reads.note(*("", "") if row is None else (row.instance_id, row.name))
        if row is None:
            return answers.NOT_FOUND
        body = status_body(row, show_input=query.flag("showInput", default=True))
        if query.flag("showHistory", default=False):
            history = self._engine.journal.history(parts[1])
            try:
                shown = history_view(history, show_output=query.flag("showHistoryOutput", default=False))
            except DoubleKey as error:
                return answers.exception(
                    400,
                    told="One or more of the arguments submitted is incorrect",
                    kind="System.ArgumentException",
                    text=str(error),
                )
            if shown:
                body["historyEvents"] = shown
        if row.status.is_final:
            told = row.status is Status.FAILED and query.flag("returnInternalServerErrorOnFailure", default=False)
            return answers.json_answer(body, 500 if told else 200)
        return answers.json_answer(body, 202, {"Location": _own_url(request), "Retry-After": _STATUS_RETRY_S})

    async def _list(self, request: WebRequest, query: WebQuery, _parts: Sequence[str]) -> WebResponse:
        wanted = query.instances()
        token = request.headers.get(_TOKEN_HEADER)
        if token:
            wanted = replace(wanted, after=last_of_page(token))
        rows: list[Instance] = self._engine.journal.instances(replace(wanted, top=wanted.top + 1))
        page = rows[: wanted.top]
        headers = {_TOKEN_HEADER: continuation_token(page[-1].instance_id)} if len(rows) > len(page) else {}
        show_input = query.flag("showInput", default=True)
        return answers.json_answer([status_body(row, show_input=show_input) for row in page], 200, headers)

    # -- control ------------------------------------------------------------------------------------------------
    async def _raise_event(self, request: WebRequest, _query: WebQuery, parts: Sequence[str]) -> WebResponse:
        if not _is_json(request):
            return answers.message("Only application/json request content is supported", 400)
        try:
            input_text = rewritten(_json_body(request) or "null")
        except ValueError as error:
            return answers.invalid_json(str(error))
        return _OUTCOMES[await self._client.raise_event(parts[1], parts[3], input_text)]

    async def _terminate(self, _request: WebRequest, query: WebQuery, parts: Sequence[str]) -> WebResponse:
        return _OUTCOMES[await self._client.terminate(parts[1], query.reason())]

    async def _suspend(self, _request: WebRequest, query: WebQuery, parts: Sequence[str]) -> WebResponse:
        return _OUTCOMES[await self._client.suspend(parts[1], query.reason())]

    async def _resume(self, _request: WebRequest, query: WebQuery, parts: Sequence[str]) -> WebResponse:
        return _OUTCOMES[await self._client.resume(parts[1], query.reason())]

    async def _rewind(self, _request: WebRequest, query: WebQuery, parts: Sequence[str]) -> WebResponse:
        try:
            outcome = await self._client.rewind(parts[1], query.reason())
        except WrongState as error:
            return answers.json_answer(str(error), 412)
        if outcome is Outcome.NOT_FOUND:
            # The dollar sign is the vendor's [golden].
            return answers.json_answer(f'No orchestration with instance ID "${parts[1]}" found.', 404)
        return _OUTCOMES[outcome]

    # -- purge --------------------------------------------------------------------------------------------------
    async def _purge(self, _request: WebRequest, _query: WebQuery, parts: Sequence[str]) -> WebResponse:
        try:
            found = await self._client.purge(parts[1])
        except WrongState as error:
            return answers.json_answer(str(error), 412)
        return answers.json_answer({"instancesDeleted": 1}) if found else answers.NOT_FOUND

    async def _purge_by(self, _request: WebRequest, query: WebQuery, _parts: Sequence[str]) -> WebResponse:
        if query.text("createdTimeFrom") is None:
            return answers.json_answer("Please provide value for 'createdTimeFrom' parameter.", 400)
        deleted = await self._client.purge_by(query.instances())
        return answers.json_answer({"instancesDeleted": deleted}) if deleted else answers.NOT_FOUND


def _is_json(request: WebRequest) -> bool:
    return request.headers.get("content-type", "").split(";")[0].strip().lower() == "application/json"


def _json_body(request: WebRequest) -> str | None:
    """The body as JSON text, None where it is empty; raises ValueError where it is not JSON."""
    if not request.body:
        return None
    text = request.body.decode("utf-8")
    json.loads(text)
    return text


def _own_url(request: WebRequest) -> str:
    """The URL of the request itself: a running status is its own Location."""
    query = f"?{request.query}" if request.query else ""
    return f"{request.origin}{request.prefix}{request.raw_path}{query}"
