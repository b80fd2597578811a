"""The Cost Management stand-in's HTTP side: the query of a scope's cost (azure.md 7.4), and the handle for the bill.

Pages are short, so that following nextLink is an everyday path; it is asked for by POST with the same question.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import date
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler

from localcloud.cost_management.bill import TAG, BilledDay, columns, grouped, read_bill
from localcloud.identity.tokens import InvalidToken
from localcloud.outage import is_handle, with_outage

COSTS_PATH = "/_costs"
QUERY_PATH = "/{scope:.+}/providers/Microsoft.CostManagement/query"
API_VERSIONS = ("2023-11-01", "2024-08-01", "2025-03-01")
PAGE_SIZE = 5

CheckToken = Callable[[str], Awaitable[Mapping[str, object]]]


class CostManagementService:
    """Answers for Cost Management at `origin`, for whatever scope is asked."""

    def __init__(self, *, origin: str, check_token: CheckToken) -> None:
        self._origin = origin
        self._check_token = check_token
        self._bill: list[BilledDay] = []

    def app(self) -> web.Application:
        app = web.Application(middlewares=[self._signed_in])
        app.router.add_post(QUERY_PATH, self._query)
        app.router.add_get(COSTS_PATH, self._show)
        app.router.add_put(COSTS_PATH, self._set)
        app.router.add_delete(COSTS_PATH, self._clear)
        return with_outage(app)

    @web.middleware
    async def _signed_in(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if is_handle(request.path):
            return await handler(request)
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            return _refusal(401, "AuthenticationFailed", "a bearer token is needed")
        try:
            await self._check_token(token.strip())
        except InvalidToken as error:
            return _refusal(401, "InvalidAuthenticationToken", error.reason)
        if request.query.get("api-version") not in API_VERSIONS:
            return _refusal(400, "InvalidApiVersionParameter", f"api-version is one of {', '.join(API_VERSIONS)}")
        return await handler(request)

    async def _query(self, request: web.Request) -> web.Response:
        try:
            first, last, groupings = _read_question(await request.json())
            skip = int(request.query.get("$skiptoken", "0"))
        except (ValueError, TypeError, KeyError) as error:
            return _refusal(400, "BadRequest", f"the query cannot be read: {error}")
        rows = grouped(self._bill, first, last, groupings)
        following = None
        if len(rows) > skip + PAGE_SIZE:
            following = f"{self._origin}{request.rel_url.update_query({'$skiptoken': str(skip + PAGE_SIZE)})}"
        shown = rows[skip : skip + PAGE_SIZE]
        properties = {"nextLink": following, "columns": columns(groupings), "rows": shown}
        return web.json_response({"type": "Microsoft.CostManagement/query", "properties": properties})

    async def _show(self, _request: web.Request) -> web.Response:
        return web.json_response({"rows": [day.to_wire() for day in self._bill]})

    async def _set(self, request: web.Request) -> web.Response:
        try:
            self._bill = read_bill(await request.json())
        except ValueError as error:
            return _refusal(400, "InvalidCosts", str(error))
        return await self._show(request)

    async def _clear(self, request: web.Request) -> web.Response:
        self._bill = []
        return await self._show(request)


def _read_question(question: Any) -> tuple[date, date, list[str]]:
    """Return first day, last day and groupings; raise ValueError, TypeError or KeyError for what we do not answer."""
    if question["type"] != "ActualCost" or question["timeframe"] != "Custom":
        raise ValueError("type is ActualCost and timeframe Custom here")
    dataset = question["dataset"]
    if dataset["granularity"] != "None" or list(dataset["aggregation"].values()) != [_SUM_OF_COST]:
        raise ValueError("granularity is None and the one aggregation the Sum of Cost here")
    groupings = [(entry["type"], entry["name"]) for entry in dataset.get("grouping", [])]
    if unknown := [entry for entry in groupings if entry not in _GROUPINGS]:
        raise ValueError(f"there is no grouping by {unknown[0]} here")
    period = question["timePeriod"]
    first, last = (date.fromisoformat(str(period[end])[:10]) for end in ("from", "to"))
    return first, last, [name for _, name in groupings]


_SUM_OF_COST = {"name": "Cost", "function": "Sum"}
_GROUPINGS = (("TagKey", TAG), ("Dimension", "ResourceId"))


def _refusal(status: int, code: str, message: str) -> web.Response:
    return web.json_response({"error": {"code": code, "message": message}}, status=status)
