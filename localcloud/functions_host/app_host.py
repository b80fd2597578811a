"""One app, served: what was loaded, and which part of the host answers which request."""

import asyncio
import dataclasses
import json
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from localcloud.functions_host.access_keys import DURABLE_KEY, EVENT_GRID_KEY, AccessKeys, given_key
from localcloud.functions_host.admin_api import PREFIX as ADMIN_PREFIX
from localcloud.functions_host.admin_api import AdminApi, HostReport
from localcloud.functions_host.app_settings import SettingsError
from localcloud.functions_host.clock import Clock
from localcloud.functions_host.event_grid import EventGridTriggers
from localcloud.functions_host.functions import AppFunction, BindingType, FunctionTable
from localcloud.functions_host.http_exchange import HttpAnswer, HttpCall
from localcloud.functions_host.http_triggers import HttpTriggers
from localcloud.functions_host.route_templates import BadTemplate
from localcloud.functions_host.routes import Route, RouteConflict, RouteTable, route_of
from localcloud.functions_host.schedules import BadSchedule, parse_schedule, zone_of
from localcloud.functions_host.timer_status import TimerStatusStore
from localcloud.functions_host.timers import Timer, TimerTriggers
from localcloud.functions_host.worker import Worker

if TYPE_CHECKING:
    from localcloud.functions_host.durable_functions import DurableExtension

_WEBHOOKS = "/runtime/webhooks/"
_DURABLE = _WEBHOOKS + "durabletask/"
_EVENT_GRID = _WEBHOOKS + "eventgrid"
_DURABLE_METHODS = frozenset({"GET", "PUT", "POST", "DELETE", "OPTIONS"})
_NOT_FOUND = HttpAnswer(status=404)
_UNAUTHORIZED = HttpAnswer(status=401, headers=(("WWW-Authenticate", "Bearer"),))
_log = logging.getLogger("host")


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedApp:
    """The app's functions, with the troubles found in their triggers, and their routes and timers, read."""

    functions: FunctionTable
    routes: RouteTable
    timers: tuple[Timer, ...]


def check_triggers(functions: Iterable[AppFunction], *, prefix: str, environ: Mapping[str, str]) -> CheckedApp:
    """Read routes and schedules. A function with a bad schedule, or another's route, is in error by itself.

    A template that cannot be read keeps the vendor's host from starting, with all functions: raises SettingsError.
    """
    checked: list[AppFunction] = []
    routes: list[Route] = []
    timers: list[Timer] = []
    for given in functions:
        function = given
        try:
            if not function.trouble and function.trigger.type == BindingType.HTTP_TRIGGER:
                routes.append(_new_route(function, prefix, routes))
            elif not function.trouble and function.trigger.type == BindingType.TIMER_TRIGGER:
                text = str(function.trigger.settings.get("schedule", ""))
                timers.append(Timer(function=function, schedule=parse_schedule(text, zone_of(environ))))
        except BadTemplate as error:
            raise SettingsError(f"function '{function.name}': {error}") from error
        except (RouteConflict, BadSchedule) as error:
            function = dataclasses.replace(function, trouble=f"function '{function.name}': {error}")
        checked.append(function)
    return CheckedApp(functions=FunctionTable(checked), routes=RouteTable(routes), timers=tuple(timers))


def _new_route(function: AppFunction, prefix: str, known: list[Route]) -> Route:
    route = route_of(function, prefix)
    other = RouteTable(known).conflict(route)
    if other is not None:
        raise RouteConflict(
            f"route '{route.template.text}' and its methods are those of function '{other.function.name}' too; "
            "give one of them another route, or other methods"
        )
    return route


class AppHost:
    """The triggers of one app behind one public address."""

    def __init__(
        self,
        *,
        state: Path,
        app: CheckedApp,
        worker: Worker,
        keys: AccessKeys | None,
        clock: Clock,
        origin: str,
        durable: "DurableExtension | None",
        custom_headers: Mapping[str, str],
    ) -> None:
        self.app = app
        self._custom_headers = tuple(custom_headers.items())
        self._keys = keys
        self._durable = durable
        client_binding = durable.client_binding if durable else ""
        self._http = HttpTriggers(routes=app.routes, worker=worker, client_binding=client_binding, keys=keys)
        self._event_grid = EventGridTriggers(functions=app.functions, worker=worker, client_binding=client_binding)
        self._timers = TimerTriggers(
            timers=app.timers,
            worker=worker,
            store=TimerStatusStore(state / "timers"),
            clock=clock,
            client_binding=client_binding,
        )
        self._admin = AdminApi(
            functions=app.functions,
            keys=keys,
            route_of={route.function.name: route.template.text for route in app.routes.routes},
            origin=origin,
            run=self._run_by_hand,
            report=lambda: HostReport(state="Running"),
        )

    async def start(self) -> None:
        if self._durable is not None:
            await self._durable.start()
        self._timers.start()

    async def stop(self, drain_s: float) -> None:
        """Begin nothing more; what runs has so many seconds to end, all of it together."""
        await asyncio.gather(self._timers.stop(drain_s), self._admin.drained(drain_s))
        if self._durable is not None:
            await self._durable.stop(drain_s)

    async def handle(self, call: HttpCall) -> HttpAnswer:
        """Answer a request on the public port."""
        folded = call.path.lower()
        if folded.startswith(ADMIN_PREFIX):
            if self._keys is not None and not self._keys.is_master(given_key(call.headers, call.query)):
                return _UNAUTHORIZED
            return await self._admin.handle(call)
        answer = await self._public(call, folded)
        if not self._custom_headers:
            return answer
        own = {name.lower() for name, _ in answer.headers}
        added = tuple(pair for pair in self._custom_headers if pair[0].lower() not in own)
        return dataclasses.replace(answer, headers=(*answer.headers, *added))

    async def _public(self, call: HttpCall, folded: str) -> HttpAnswer:
        if folded.startswith(_WEBHOOKS):
            return await self._webhook(call, folded)
        if folded == "/" and call.method in ("GET", "HEAD"):
            return HttpAnswer(
                status=200,
                headers=(("Content-Type", "text/html"),),
                body=b"<p>The local functions host is running.</p>",
            )
        return await self._http.handle(call)

    async def rpc(self, call: HttpCall) -> HttpAnswer:
        """Answer a request on the port of the durable client."""
        if self._durable is None or not call.path.lower().startswith("/durabletask/"):
            return _NOT_FOUND
        return await self._durable.rpc(call)

    async def _webhook(self, call: HttpCall, folded: str) -> HttpAnswer:
        if folded.startswith(_DURABLE) and self._durable is not None:
            if not self._opens(DURABLE_KEY, call):
                return _UNAUTHORIZED
            return await self._durable.webhook(call) if call.method in _DURABLE_METHODS else _NOT_FOUND
        if folded.rstrip("/") == _EVENT_GRID and self.app.functions.uses(BindingType.EVENT_GRID_TRIGGER):
            return await self._event_grid.handle(call) if self._opens(EVENT_GRID_KEY, call) else _UNAUTHORIZED
        return _NOT_FOUND

    def _opens(self, system_key: str, call: HttpCall) -> bool:
        return self._keys is None or self._keys.opens_webhook(system_key, given_key(call.headers, call.query))

    async def _run_by_hand(self, function: AppFunction, text: str) -> None:
        match function.trigger.type:
            case BindingType.TIMER_TRIGGER:
                await self._timers.run_now(function)
            case BindingType.EVENT_GRID_TRIGGER:
                await self._event_grid.invoke(function, json.loads(text))
            case BindingType.HTTP_TRIGGER:
                await self._http.call(function, _call_with(text), {})
            case _:
                _log.error("%s cannot be run by hand: only the durable engine calls it", function.name)


def _call_with(text: str) -> HttpCall:
    return HttpCall(
        method="POST",
        path="/",
        raw_path="/",
        query="",
        has_query=False,
        headers={"content-type": "application/json"},
        body=text.encode(),
        origin="http://localhost",
    )
