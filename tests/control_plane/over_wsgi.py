"""The API as a WSGI app in this process, so that whatever speaks HTTP can be turned on it: the real operations, over
fakes of what lies behind them. Routes are told apart by the table of operations, as the host tells them apart.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl

import azure.functions as func

from api.bridge import serve_with
from api.operations import OPERATIONS, Operation
from shared.domain.driving import Drive
from shared.ports.drivers import DriverState
from tests.control_plane.surroundings import Surroundings

ROUTES = [
    (operation, re.compile("/api/" + re.sub(r"\\{(\w+)\\}", r"(?P<\1>[^/]+)", re.escape(operation.route))))
    for operation in OPERATIONS
]


class NoEngine:
    """An engine that takes every order and never carries one out: sessions stay as they were admitted."""

    async def start(self, drive: Drive) -> None:
        """Take it."""

    async def wake(self, drive: Drive, wait: str) -> bool:
        return True

    async def state(self, drive: Drive) -> DriverState:
        return DriverState.ALIVE

    async def start_sweep(self, slot: int) -> None:
        """Take it."""


class OverWsgi:
    """One control plane as a WSGI app."""

    def __init__(self, surroundings: Surroundings) -> None:
        self.surroundings = surroundings
        self.loop = asyncio.new_event_loop()
        self.known: dict[str, str] = {}  # by part of the path: names of what is there
        self.statuses: dict[str, set[int]] = {}

    def close(self) -> None:
        self.loop.run_until_complete(self.loop.shutdown_default_executor())
        self.loop.close()

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        found = self._operation(environ["REQUEST_METHOD"], environ["PATH_INFO"].encode("latin-1").decode())
        if found is None:
            start_response("404 Not Found", [])  # the host's own: there is no function at this address
            return [b""]
        operation, parts = found
        answer = self.answer(operation, _request(environ, operation, parts))
        self.statuses.setdefault(operation.name, set()).add(answer.status_code)
        headers = [*answer.headers.items(), *([("Content-Type", answer.mimetype)] if answer.get_body() else [])]
        start_response(f"{answer.status_code} {HTTPStatus(answer.status_code).phrase}", headers)
        return [answer.get_body()]

    def answer(self, operation: Operation, request: func.HttpRequest) -> func.HttpResponse:
        return self.loop.run_until_complete(serve_with(operation, request, self.surroundings.world, NoEngine()))

    def _operation(self, method: str, path: str) -> tuple[Operation, dict[str, str]] | None:
        for operation, route in ROUTES:
            if operation.method == method and (match := route.fullmatch(path)):
                return operation, match.groupdict()
        return None


def _request(environ: dict[str, Any], operation: Operation, parts: dict[str, str]) -> func.HttpRequest:
    headers = {
        name.removeprefix("HTTP_").replace("_", "-").lower(): value
        for name, value in environ.items()
        if name.startswith("HTTP_")
    }
    return func.HttpRequest(
        operation.method,
        f"http://127.0.0.1{environ['PATH_INFO']}",
        headers=headers,
        params=dict(parse_qsl(environ.get("QUERY_STRING", ""), keep_blank_values=True)),
        route_params=parts,
        body=environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0)),
    )
