"""Starts and stops the host: settings, app, ports, engine, in this order, and back."""

import asyncio
import dataclasses
import json
import logging
import os
import secrets
from collections.abc import MutableMapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from localcloud.functions_host.access_keys import DURABLE_KEY, AccessKeys
from localcloud.functions_host.app_host import AppHost, CheckedApp, check_triggers
from localcloud.functions_host.app_settings import HostJson, SettingsError, read_host_json, read_local_settings
from localcloud.functions_host.broken_host import BrokenHost
from localcloud.functions_host.clock import Clock
from localcloud.functions_host.functions import BindingType
from localcloud.functions_host.http_exchange import HttpAnswer, HttpCall
from localcloud.functions_host.loading import load_app
from localcloud.functions_host.log_lines import apply_log_levels
from localcloud.functions_host.state_folder import lock_state
from localcloud.functions_host.strict_checks import strict_findings
from localcloud.functions_host.web_server import PortTaken, WebServer, bind
from localcloud.functions_host.worker import DEFAULT_THREADS, Worker
from localcloud.whole_file import write_whole

if TYPE_CHECKING:
    from localcloud.functions_host.durable_functions import DurableExtension

PREFERRED_RPC_PORT = 17071
PORTS_FILE = "host-ports.json"
_LOOPBACK = "127.0.0.1"
_LEAST_DRAIN_S = 0.5  # enough to write down what has ended
_THREADS_SETTING = "PYTHON_THREADPOOL_THREAD_COUNT"
_log = logging.getLogger("host")


@dataclass(frozen=True, slots=True, kw_only=True)
class HostOptions:
    """What the command line says. `keys_file` None: no keys are checked; `as_azure`: a seed of the vendor's faults."""

    root: Path
    state: Path
    host: str = _LOOPBACK
    port: int = 0
    keys_file: Path | None = None
    preferred_rpc_port: int = PREFERRED_RPC_PORT
    is_strict: bool = False
    as_azure: int | None = None
    is_verbose: bool = False


class FunctionsHost:
    """The host of one app folder, from start to stop."""

    def __init__(self, options: HostOptions, *, clock: Clock, environ: MutableMapping[str, str]) -> None:
        self._options = options
        self._clock = clock
        self._environ = environ
        self._lock: TextIO | None = None
        self._public: WebServer | None = None
        self._rpc: WebServer | None = None
        self._worker: Worker | None = None
        self._app: AppHost | BrokenHost | None = None

    @property
    def port(self) -> int:
        """The public port, picked where 0 was asked for."""
        assert self._public is not None, "start first"
        return self._public.port

    @property
    def base_url(self) -> str:
        return f"http://{self._options.host}:{self.port}"

    @property
    def app(self) -> CheckedApp | None:
        """What is served; None where the app's settings keep the host from serving it."""
        return self._app.app if isinstance(self._app, AppHost) else None

    async def start(self) -> None:
        """Serve. Raises PortTaken or StateUnusable; what is wrong with the app itself is logged and answered for."""
        options = self._options
        self._public = WebServer(bind(options.host, options.port), self._handle)
        self._lock = lock_state(options.state)
        try:
            self._app = await self._load()
        except SettingsError as error:
            _log.error("the app is not served: %s", error)
            self._app = BrokenHost(str(error))
        await self._app.start()
        for server in (self._rpc, self._public):
            if server is not None:
                await server.start()
        self._note_ports()

    async def stop(self, drain_s: float = 10.0) -> None:
        """Refuse new connections, let what runs end for so many seconds, then stop."""
        loop = asyncio.get_running_loop()
        until = loop.time() + drain_s
        if self._public is not None:
            await self._public.refuse()
            if not await self._public.drained(drain_s):
                _log.warning("requests are still being answered after %.0f s; they are cut off", drain_s)
        if self._app is not None:
            await self._app.stop(max(_LEAST_DRAIN_S, until - loop.time()))
        for server in (self._public, self._rpc):
            if server is not None:
                await server.close()
        if self._worker is not None:
            self._worker.close()
        if self._lock is not None:
            self._lock.close()

    def _note_ports(self) -> None:
        """Write down where this host listens: tests reach the engine's fault switches by it."""
        ports = {"public": self.port} | ({"durable": self._rpc.port} if self._rpc is not None else {})
        write_whole(self._options.state / PORTS_FILE, json.dumps(ports))

    async def _handle(self, call: HttpCall) -> HttpAnswer:
        assert self._app is not None, "the server starts after the app"
        try:
            return await self._app.handle(call)
        except Exception:  # a fault of this host itself must not look like a closed connection
            _log.exception("%s %s could not be answered", call.method, call.path)
            return HttpAnswer(status=500)

    async def _handle_rpc(self, call: HttpCall) -> HttpAnswer:
        assert isinstance(self._app, AppHost), "only an app that is served has this port"
        try:
            return await self._app.rpc(call)
        except Exception:  # as above
            _log.exception("%s %s could not be answered", call.method, call.path)
            return HttpAnswer(status=500)

    async def _load(self) -> AppHost:
        options, environ = self._options, self._environ
        for name, value in read_local_settings(options.root).items():
            environ.setdefault(name, value)
        environ.setdefault("FUNCTIONS_WORKER_RUNTIME", "python")
        environ.setdefault("AZURE_FUNCTIONS_ENVIRONMENT", "Development")
        environ.setdefault("WEBSITE_HOSTNAME", f"localhost:{self.port}")
        host_json = read_host_json(options.root)
        apply_log_levels(host_json.log_levels, is_verbose=options.is_verbose)
        os.chdir(options.root)
        loaded = load_app(options.root, environ)
        wanted = (function for function in loaded.functions if host_json.serves(function.name))
        app = check_triggers(wanted, prefix=host_json.route_prefix, environ=environ)
        for trouble in (loaded.trouble, *(function.trouble for function in app.functions)):
            if trouble:
                _log.error("%s", trouble)
        if options.is_strict:
            _check_strictly(app, options.root)
        keys = None
        if options.keys_file is not None:
            keys = AccessKeys.kept_in(options.keys_file, (function.name for function in app.functions))
        self._worker = Worker(root=options.root, threads=_threads(environ), limit=host_json.function_timeout)
        return AppHost(
            state=options.state,
            app=app,
            worker=self._worker,
            keys=keys,
            clock=self._clock,
            origin=f"https://localhost:{self.port}",
            durable=self._durable_extension(app, host_json, keys, self._worker),
            custom_headers=host_json.custom_headers,
        )

    def _durable_extension(
        self, app: CheckedApp, host_json: HostJson, keys: AccessKeys | None, worker: Worker
    ) -> "DurableExtension | None":
        if not app.functions.uses(
            BindingType.DURABLE_CLIENT,
            BindingType.ORCHESTRATION_TRIGGER,
            BindingType.ACTIVITY_TRIGGER,
            BindingType.ENTITY_TRIGGER,
        ):
            return None
        # Imported here, for an app without durable functions should start without them.
        from localcloud.durable.options import DurableOptions, OptionsError
        from localcloud.durable.web import DurableAddresses
        from localcloud.functions_host.durable_functions import DurableExtension

        try:
            durable_options = dataclasses.replace(
                DurableOptions.from_host_json(host_json.document),
                strict=self._options.is_strict,
                as_azure=self._options.as_azure,
            )
        except OptionsError as error:
            raise SettingsError(str(error)) from error
        try:
            socket = bind(_LOOPBACK, self._options.preferred_rpc_port)
        except PortTaken:
            socket = bind(_LOOPBACK, 0)
        self._rpc = WebServer(socket, self._handle_rpc)
        return DurableExtension(
            functions=app.functions,
            worker=worker,
            options=durable_options,
            state=self._options.state,
            clock=self._clock,
            addresses=DurableAddresses(
                public_origin=f"http://localhost:{self.port}",
                rpc_origin=f"http://{_LOOPBACK}:{self._rpc.port}",
                # Management URLs carry a key also where none is checked, as the vendor's host has it.
                system_key=keys[DURABLE_KEY] if keys else secrets.token_urlsafe(32),
            ),
        )


def _check_strictly(app: CheckedApp, root: Path) -> None:
    """Refuse the app for what its source shows; raises SettingsError with all of it."""
    findings = strict_findings(app.functions, root)
    for finding in findings:
        _log.error("strict: %s", finding)
    if findings:
        raise SettingsError("strict mode found: " + "; ".join(map(str, findings)))


def _threads(environ: MutableMapping[str, str]) -> int:
    text = environ.get(_THREADS_SETTING, "")
    if not text:
        return DEFAULT_THREADS
    if not text.isdecimal() or int(text) < 1:
        raise SettingsError(f"{_THREADS_SETTING} is {text!r}; it must be a whole number above 0")
    return int(text)
