"""The admin API: what is running here, with which keys, and running a function by hand."""

import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from localcloud.functions_host.access_keys import HOST_KEY, MASTER, SYSTEM_KEYS, AccessKeys, function_key_name
from localcloud.functions_host.functions import AppFunction, BindingType, FunctionTable
from localcloud.functions_host.http_exchange import HttpAnswer, HttpCall

PREFIX = "/admin/"
_VERSION = "4.0.0-local"
_NOT_FOUND = HttpAnswer(status=404)
_log = logging.getLogger("host.admin")

RunByHand = Callable[[AppFunction, str], Awaitable[None]]
"""Calls a function with the text that the caller gave as its input; what becomes of it is in the log only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HostReport:
    """How the host is: `errors` say what keeps it from serving the app."""

    state: str
    errors: Sequence[str] = ()


class AdminApi:
    """Everything below /admin/; the key has been checked."""

    def __init__(
        self,
        *,
        functions: FunctionTable,
        keys: AccessKeys | None,
        route_of: Mapping[str, str],
        origin: str,
        run: RunByHand,
        report: Callable[[], HostReport],
    ) -> None:
        self._functions = functions
        self._keys = keys
        self._route_of = route_of
        self._origin = origin
        self._run = run
        self._report = report
        self._started_at = time.monotonic()
        self._runs: set[asyncio.Task[None]] = set()

    async def handle(self, call: HttpCall) -> HttpAnswer:
        """Answer an admin request; 404 for all that there is not."""
        words = [unquote(word) for word in call.path[len(PREFIX) :].rstrip("/").split("/")]
        match call.method, [word.lower() for word in words[:2]], words[2:]:
            case "GET" | "POST", ["host", "ping"], []:
                return HttpAnswer(status=200)
            case "GET" | "POST", ["host", "status"], []:
                return self._status()
            case "GET", ["host", "keys" | "functionkeys"], []:
                return self._listed_keys({"default": HOST_KEY})
            case "GET", ["host", "systemkeys"], []:
                return self._listed_keys({MASTER: MASTER, **{name: name for name in SYSTEM_KEYS}})
            case "GET", ["host", "systemkeys" | "keys"], [name]:
                return self._one_key(name)
            case "GET", ["functions"], []:
                return _json([self._described(function) for function in self._functions])
            case _, ["functions", _], rest:
                return self._about_function(call, words[1], [word.lower() for word in rest])
        return _NOT_FOUND

    async def drained(self, timeout_s: float) -> None:
        """Wait for the runs that were begun by hand."""
        if self._runs:
            await asyncio.wait(self._runs, timeout=timeout_s)

    def _about_function(self, call: HttpCall, name: str, rest: list[str]) -> HttpAnswer:
        function = self._functions.named_in_any_case(name)
        if function is None:
            return _NOT_FOUND
        match call.method, rest:
            case "GET", []:
                return _json(self._described(function))
            case "GET", ["status"]:
                return _json({"errors": [function.trouble]} if function.trouble else {})
            case "GET", ["keys"]:
                return self._listed_keys({"default": function_key_name(function.name)})
            case "POST", []:
                return self._begin(function, call)
        return _NOT_FOUND

    def _begin(self, function: AppFunction, call: HttpCall) -> HttpAnswer:
        """Run a function without waiting for it: 202 whatever it does."""
        if not call.headers.get("content-type", "").partition(";")[0].strip().lower().endswith("json"):
            return HttpAnswer(status=415)
        try:
            document = json.loads(call.body)
        except ValueError:
            return HttpAnswer(status=400)
        if not function.is_available:
            return _NOT_FOUND
        given = document.get("input") if isinstance(document, dict) else None
        text = given if isinstance(given, str) else ("" if given is None else json.dumps(given))
        run = asyncio.create_task(self._carry_out(function, text))
        self._runs.add(run)
        run.add_done_callback(self._runs.discard)
        return HttpAnswer(status=202)

    async def _carry_out(self, function: AppFunction, text: str) -> None:
        try:
            await self._run(function, text)
        except Exception as error:  # nobody waits for this task, so the log is the only place to tell
            _log.error("running %s by hand failed: %s", function.name, error)

    def _status(self) -> HttpAnswer:
        report = self._report()
        status: dict[str, Any] = {
            "id": "local",
            "state": report.state,
            "version": _VERSION,
            "versionDetails": _VERSION,
            "platformVersion": "",
            "instanceId": "local",
            "computerName": "local",
            "processUptime": int((time.monotonic() - self._started_at) * 1000),
            "functionAppContentEditingState": "NotAllowed",
        }
        return _json({**status, "errors": list(report.errors)} if report.errors else status)

    def _described(self, function: AppFunction) -> dict[str, Any]:
        is_http = function.trigger.type == BindingType.HTTP_TRIGGER
        route = self._route_of.get(function.name)
        return {
            "name": function.name,
            "href": f"{self._origin}/admin/functions/{function.name}",
            "invoke_url_template": f"{self._origin}/{route}" if is_http and route is not None else None,
            "language": "python",
            "isDisabled": function.is_disabled,
            "config": {"name": function.name, "bindings": [dict(binding.settings) for binding in function.bindings]},
        }

    def _listed_keys(self, names: Mapping[str, str]) -> HttpAnswer:
        known = {shown: self._keys.get(name) for shown, name in names.items()} if self._keys else {}
        keys = [{"name": shown, "value": value} for shown, value in known.items() if value is not None]
        return _json({"keys": keys, "links": []})

    def _one_key(self, name: str) -> HttpAnswer:
        wanted = HOST_KEY if name == "default" else name
        if wanted in (MASTER, HOST_KEY, *SYSTEM_KEYS) and self._keys is not None:
            return _json({"name": name, "value": self._keys[wanted]})
        return _NOT_FOUND


def _json(value: object) -> HttpAnswer:
    return HttpAnswer(
        status=200, headers=(("Content-Type", "application/json; charset=utf-8"),), body=json.dumps(value).encode()
    )
