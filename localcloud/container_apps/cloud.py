"""The Container Apps stand-in as a whole: put together here, served by whoever holds the ports."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

from aiohttp import web

from localcloud.container_apps.app_writes import AppWrites
from localcloud.container_apps.arm_gate import Gate
from localcloud.container_apps.arm_reads import ArmReads
from localcloud.container_apps.arm_server import ArmServer
from localcloud.container_apps.event_notices import resource_event
from localcloud.container_apps.exec_server import ExecServer
from localcloud.container_apps.handles import Handles
from localcloud.container_apps.lifecycle import Lifecycle
from localcloud.container_apps.ports import CheckToken, Machine, Origins, Publish
from localcloud.container_apps.records import Operation
from localcloud.container_apps.registry import Registry
from localcloud.container_apps.store import Store
from localcloud.container_apps.system_log import SystemLog

_log = logging.getLogger(__name__)
_FOLDER, _REPLICAS, _DATABASE = "container_apps", "r", "records.sqlite"


def replicas_root(state: Path) -> Path:
    """Return where the replicas' directories are; the path is kept short for the Unix sockets in them."""
    return state.resolve() / _FOLDER / _REPLICAS


class ContainerAppsCloud:
    """ARM and exec over one set of records below `state`.

    After `start` the apps of `arm_app` and `exec_app` may be served, each at its origin. `stop` ends all replicas and
    keeps the records, like a machine that is switched off; a killed process leaves them running for the next `start`.
    """

    def __init__(
        self, *, state: Path, origins: Origins, check_token: CheckToken, publish: Publish, machine: Machine
    ) -> None:
        root = replicas_root(state)
        root.mkdir(parents=True, exist_ok=True)
        self._publish = publish
        self._publishing: set[asyncio.Task[None]] = set()
        self._registry = Registry(Store(state / _FOLDER / _DATABASE))
        self._lifecycle = Lifecycle(registry=self._registry, machine=machine, root=root, announce=self._announce)
        self._exec = ExecServer(registry=self._registry, machine=machine, root=root)
        self._system_log = SystemLog(registry=self._registry)
        self._handles = Handles(registry=self._registry, lifecycle=self._lifecycle, machine=machine)
        self._arm = ArmServer(
            registry=self._registry,
            writes=AppWrites(registry=self._registry, lifecycle=self._lifecycle),
            reads=ArmReads(registry=self._registry, origins=origins),
            gate=Gate(registry=self._registry, check_token=check_token),
            origins=origins,
        )

    def arm_app(self) -> web.Application:
        app = web.Application()
        execs = [web.get("/_execs", self._exec.count), web.delete("/_execs", self._exec.cut)]
        app.add_routes([*self._handles.routes(), *execs])
        app.router.add_route("*", "/{path:.*}", self._arm.handle)
        return app

    def exec_app(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/{path:(?i:.*/eventstream)}", self._system_log.handle)
        app.router.add_get("/{path:.*}", self._exec.handle)
        app.on_shutdown.append(self._exec.close)
        return app

    async def start(self) -> None:
        await self._lifecycle.start()

    async def stop(self) -> None:
        await self._lifecycle.stop()
        await asyncio.gather(*self._publishing, return_exceptions=True)
        self._registry.close()

    def _announce(self, operation: Operation) -> None:
        task = asyncio.get_running_loop().create_task(self._tell(operation))
        self._publishing.add(task)
        task.add_done_callback(self._publishing.discard)

    async def _tell(self, operation: Operation) -> None:
        try:
            await self._publish(resource_event(operation))
        except Exception:  # the event's way is not ours: a lost event must not stop an app's life
            _log.exception("event.not_published operation=%s app=%s", operation.kind, operation.app_id)
