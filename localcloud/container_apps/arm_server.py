"""Serves Azure Resource Manager for Microsoft.App: finds the handler, renders answers and refusals, with headers."""

from __future__ import annotations

import asyncio
import json
import math
import uuid
from collections.abc import Mapping
from urllib.parse import urlencode

from aiohttp import web

from localcloud.container_apps import arm_routes, rendering
from localcloud.container_apps.app_writes import AppWrites
from localcloud.container_apps.arm_gate import Gate, HtmlOutage, authorization_failed
from localcloud.container_apps.arm_reads import ArmReads
from localcloud.container_apps.arm_routes import Address, Verb
from localcloud.container_apps.catalog import RESOURCE_GROUP, SUBSCRIPTION
from localcloud.container_apps.errors import ArmError
from localcloud.container_apps.ports import Origins
from localcloud.container_apps.records import App, Caller, Json, Operation, OperationKind, OperationStatus
from localcloud.container_apps.registry import Registry, now

_OUTAGE_PAGE = (
    "<html><head><title>503</title></head><body><h1>Our services aren't available right now</h1></body></html>"
)
_WRITING_METHODS = {"PUT", "PATCH", "POST", "DELETE"}


class ArmServer:
    """One catch-all aiohttp handler over the table of addresses."""

    def __init__(self, *, registry: Registry, writes: AppWrites, reads: ArmReads, gate: Gate, origins: Origins) -> None:
        self._registry = registry
        self._writes = writes
        self._reads = reads
        self._gate = gate
        self._origins = origins

    async def handle(self, request: web.Request) -> web.StreamResponse:
        headers: dict[str, str] = {}
        app: str | None = None
        try:
            address = arm_routes.find(request.method, request.path)
            app = address.app
            caller, headers = await self._gate.admit(request, app)
            response = await self._answer(request, address, caller)
            self._drop_when_asked(request, app)
        except HtmlOutage:
            response = web.Response(status=503, text=_OUTAGE_PAGE, content_type="text/html")
        except ArmError as refusal:
            response = web.json_response(refusal.envelope(), status=refusal.status, headers=refusal.headers)
        response.headers.update(headers)
        response.headers["x-ms-request-id"] = str(uuid.uuid4())
        response.headers["x-ms-correlation-request-id"] = request.headers.get(
            "x-ms-correlation-request-id", str(uuid.uuid4())
        )
        return response

    def _drop_when_asked(self, request: web.Request, app: str | None) -> None:
        writes = request.method in _WRITING_METHODS
        if writes and self._registry.faults.hit("drop_after", app, request.method) is not None:
            transport = request.transport
            if isinstance(transport, asyncio.Transport):
                transport.abort()

    async def _answer(self, request: web.Request, address: Address, caller: Caller) -> web.Response:
        _check_scope(address)
        match address.verb:
            case Verb.APP_PUT:
                return self._put(address, await _json(request), caller)
            case Verb.APP_PATCH:
                return self._patch(address, await _json(request), caller)
            case Verb.APP_DELETE:
                return self._delete(address, caller)
            case Verb.APP_START:
                return self._accepted(self._writes.start(self._reads.app(address), caller))
            case Verb.APP_STOP:
                return self._accepted(self._writes.stop(self._reads.app(address), caller))
            case Verb.REVISION_ACTIVATE | Verb.REVISION_DEACTIVATE:
                active = address.verb is Verb.REVISION_ACTIVATE
                self._writes.set_revision_active(self._reads.app(address), address.names["revision"], active=active)
                return web.Response(status=200)
            case Verb.OPERATION_STATUS | Verb.OPERATION_RESULT:
                if self._registry.faults.hit("poll_403", None) is not None:
                    raise authorization_failed(caller, request)
                return self._poll(request, address)
            case _:
                return web.json_response(self._reads.read(address, request))

    def _put(self, address: Address, body: Json, caller: Caller) -> web.Response:
        names = address.names
        written = self._writes.put(names["subscription"], RESOURCE_GROUP, names["app"], body, caller)
        headers = {} if written.operation is None else self._poll_headers(written.operation, "Azure-AsyncOperation")
        status = 201 if written.created else 200
        return web.json_response(rendering.app(written.app, self._origins), status=status, headers=headers)

    def _patch(self, address: Address, changes: Json, caller: Caller) -> web.Response:
        written = self._writes.patch(self._reads.app(address), changes, caller)
        if written.operation is None:
            return web.json_response(rendering.app(written.app, self._origins))
        return self._accepted(written.operation)

    def _delete(self, address: Address, caller: Caller) -> web.Response:
        found = self._reads.find_app(address)
        if found is None:
            return web.Response(status=204)
        return self._accepted(self._writes.delete(found, caller))

    def _accepted(self, operation: Operation) -> web.Response:
        names = ("Location", "Azure-AsyncOperation") if operation.kind is OperationKind.DELETE else ("Location",)
        return web.Response(status=202, headers=self._poll_headers(operation, *names))

    def _poll_headers(self, operation: Operation, *names: str) -> dict[str, str]:
        base = (
            f"{self._origins.arm}/subscriptions/{SUBSCRIPTION}/providers/Microsoft.App/locations/{operation.location}"
        )
        version = urlencode({"api-version": "2026-07-01"})
        urls = {
            "Location": f"{base}/containerappOperationResults/{operation.id}?{version}",
            "Azure-AsyncOperation": f"{base}/containerappOperationStatuses/{operation.id}?{version}",
        }
        return {name: urls[name] for name in names} | {"Retry-After": str(self._retry_after_s(operation))}

    def _retry_after_s(self, operation: Operation) -> int:
        """Return whole seconds until the end is likely. The real service says 10 or more, too long for here."""
        delay = "deleteSeconds" if operation.kind is OperationKind.DELETE else "createSeconds"
        left_s = self._registry.capacity.seconds(delay) - (now() - operation.started.at).total_seconds()
        return max(1, math.ceil(left_s))

    def _poll(self, request: web.Request, address: Address) -> web.Response:
        operation = self._registry.operations.get(address.names["operation"])
        if operation is None:
            raise ArmError(404, "OperationNotFound", f"There is no operation '{address.names['operation']}'.")
        if address.verb is Verb.OPERATION_STATUS:
            waiting = operation.status is OperationStatus.IN_PROGRESS
            headers = {"Retry-After": str(self._retry_after_s(operation))} if waiting else {}
            return web.json_response(rendering.operation_status(operation, request.path), headers=headers)
        return self._result(operation)

    def _result(self, operation: Operation) -> web.Response:
        """Answer 202 until the end, then 204 or the app: never 404, which stock pollers cannot take here."""
        if operation.status is OperationStatus.IN_PROGRESS:
            return self._accepted(operation)
        if operation.error is not None:
            return web.json_response({"error": operation.error}, status=400)
        app: App | None = self._registry.apps.get(operation.app_uid)
        if app is None or operation.kind is OperationKind.DELETE:
            return web.Response(status=204)
        return web.json_response(rendering.app(app, self._origins))


def _check_scope(address: Address) -> None:
    names: Mapping[str, str] = address.names
    if names["subscription"].lower() != SUBSCRIPTION:
        raise ArmError(404, "SubscriptionNotFound", f"The subscription '{names['subscription']}' could not be found.")
    if names.get("group", RESOURCE_GROUP).lower() != RESOURCE_GROUP:
        raise ArmError(404, "ResourceGroupNotFound", f"Resource group '{names['group']}' could not be found.")


async def _json(request: web.Request) -> Json:
    try:
        body = json.loads(await request.read())
    except ValueError as error:
        raise ArmError(
            400, "InvalidRequestContent", f"The request content was invalid and could not be deserialized: {error}."
        ) from error
    if not isinstance(body, dict):
        raise ArmError(400, "InvalidRequestContent", "The request content must be a JSON object.")
    return body
