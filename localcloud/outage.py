"""A switch that makes a stand-in fail for a while: `PUT /_faults {"status": 503, "count": 2}`.

`count` is how many requests fail; null, or none given, means all until `DELETE /_faults`. Handles never fail.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

from aiohttp import web
from aiohttp.typedefs import Handler

FAULTS_PATH = "/_faults"
THROTTLED = 429
RETRY_AFTER_S = "7"


@dataclass(slots=True, kw_only=True)
class Outage:
    """How the next requests fail; no status means that they do not."""

    status: int | None = None
    count: int | None = None

    def next_status(self) -> int | None:
        """Return the status to fail this request with, counting it, or None to serve it."""
        if self.status is None or self.count == 0:
            return None
        if self.count is not None:
            self.count -= 1
        return self.status


def is_handle(path: str) -> bool:
    """Tell whether the path is one of the stand-in's own handles, which the real service does not have."""
    return path.startswith("/_")


def with_outage(app: web.Application) -> web.Application:
    """Give the application the switch and return it."""
    outage = Outage()

    @web.middleware
    async def fail_while_out(request: web.Request, handler: Handler) -> web.StreamResponse:
        if is_handle(request.path) or (status := outage.next_status()) is None:
            return await handler(request)
        error = {"code": "LocalFault", "message": f"this answer was asked for by PUT {FAULTS_PATH}"}
        headers = {"Retry-After": RETRY_AFTER_S} if status == THROTTLED else {}
        return web.json_response({"error": error}, status=status, headers=headers)

    async def show(_request: web.Request) -> web.Response:
        return web.json_response(asdict(outage))

    async def switch(request: web.Request) -> web.Response:
        try:
            wanted = await request.json()
            status, count = _read_switch(wanted)
        except ValueError as error:
            return web.json_response({"error": {"code": "InvalidFault", "message": str(error)}}, status=400)
        outage.status, outage.count = status, count
        return await show(request)

    async def clear(request: web.Request) -> web.Response:
        outage.status, outage.count = None, None
        return await show(request)

    app.middlewares.insert(0, fail_while_out)
    app.router.add_get(FAULTS_PATH, show)
    app.router.add_put(FAULTS_PATH, switch)
    app.router.add_delete(FAULTS_PATH, clear)
    return app


def _read_switch(wanted: object) -> tuple[int, int | None]:
    if not isinstance(wanted, dict) or set(wanted) - {"status", "count"}:
        raise ValueError('the body is {"status": 400 to 599, "count": how many, or null}')
    status, count = wanted.get("status"), wanted.get("count")
    if type(status) is not int or not 400 <= status <= 599:
        raise ValueError("status is a number from 400 to 599")
    if count is not None and (type(count) is not int or count < 1):
        raise ValueError("count is how many requests fail, 1 or more; null for all")
    return status, count
