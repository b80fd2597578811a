"""Drives each app from what its record says: operations, deletion, loss, and its replica; one task an app.

A driver does one step at a time, stores it, and looks again. It holds nothing that the records do not, so a new process
carries on wherever the old one was killed.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from localcloud.container_apps.faults import number
from localcloud.container_apps.ports import Machine
from localcloud.container_apps.records import App, Operation, OperationStatus, Phase, Provisioning
from localcloud.container_apps.registry import Registry, now
from localcloud.container_apps.replicas import AT_ONCE, Replicas

_log = logging.getLogger(__name__)
_RETRY_S = 1.0
Announce = Callable[[Operation], None]


class Lifecycle:
    """The drivers of all apps. `announce` is called with each operation that has ended."""

    def __init__(self, *, registry: Registry, machine: Machine, root: Path, announce: Announce) -> None:
        self._registry = registry
        self._machine = machine
        self._root = root
        self._announce = announce
        self._replicas = Replicas(registry=registry, machine=machine, root=root, wake=self.wake)
        self._drivers: dict[str, asyncio.Task[None]] = {}
        self._wakes: dict[str, asyncio.Event] = {}

    async def start(self) -> None:
        """Adopt what still runs, clear away what nobody knows, and drive every app on."""
        await self._clear_unknown_directories()
        for app in list(self._registry.apps.values()):
            await self._replicas.adopt(app)
            self.drive(app)

    async def stop(self) -> None:
        """Stop driving and end all replicas; the records stay, and a later start runs their containers again."""
        for driver in self._drivers.values():
            driver.cancel()
        await asyncio.gather(*self._drivers.values(), return_exceptions=True)
        self._replicas.stop_watching()
        await asyncio.gather(*(self._end_container(app) for app in self._registry.apps.values()))

    def drive(self, app: App) -> None:
        self._wakes[app.uid] = asyncio.Event()
        self._drivers[app.uid] = asyncio.get_running_loop().create_task(self._drive(app.uid), name=f"app {app.name}")

    def wake(self, uid: str) -> None:
        if uid in self._wakes:
            self._wakes[uid].set()

    def wake_all(self) -> None:
        for wake in self._wakes.values():
            wake.set()

    async def _drive(self, uid: str) -> None:
        wake = self._wakes[uid]
        try:
            while (app := self._registry.apps.get(uid)) is not None:
                wake.clear()
                pause_s = await self._step_safely(app)
                if pause_s != AT_ONCE:
                    await _wait(wake, pause_s)
        finally:
            self._wakes.pop(uid, None)
            self._drivers.pop(uid, None)

    async def _step_safely(self, app: App) -> float:
        try:
            return await self._step(app)
        except Exception:  # a full disk or a machine without processes must not leave an app without its driver
            _log.exception("app.step_failed app=%s", app.name)
            return _RETRY_S

    async def _step(self, app: App) -> float:
        """Do the first thing that is due and return AT_ONCE, or return the seconds until something may be."""
        if app.provisioning is Provisioning.DELETING:
            return await self._delete(app)
        pause_s = math.inf
        steps: tuple[Callable[[App], Awaitable[float]], ...] = (self._lose, self._settle, self._replicas.step)
        for step in steps:
            step_pause_s = await step(app)
            if step_pause_s == AT_ONCE:
                return AT_ONCE
            pause_s = min(pause_s, step_pause_s)
        return pause_s

    async def _delete(self, app: App) -> float:
        faults, operation = self._registry.faults, self._registry.operations[app.operation or ""]
        if app.stuck and faults.standing("delete_stuck", app.name) is not None:
            return math.inf
        remaining_s = _remaining(operation.started.at, self._registry.capacity.seconds("deleteSeconds"))
        if remaining_s > 0:
            return remaining_s
        await self._vanish(app)
        self._end_operation(operation, OperationStatus.SUCCEEDED)
        return AT_ONCE

    async def _lose(self, app: App) -> float:
        after_s = self._registry.faults.peek("app_lost", app.name)
        if after_s is None or app.replica is None or app.replica.running_at is None:
            return math.inf
        remaining_s = _remaining(app.replica.running_at, number(after_s))
        if remaining_s > 0:
            return remaining_s
        self._registry.faults.hit("app_lost", app.name)
        await self._vanish(app)
        for operation in self._registry.open_operations(app.uid):
            self._end_operation(operation, OperationStatus.CANCELED, announced=False)
        return AT_ONCE

    async def _vanish(self, app: App) -> None:
        """End what runs, and only then let the app be gone."""
        await self._replicas.end(app)
        self._registry.remove_app(app, now())
        self.wake_all()

    async def _settle(self, app: App) -> float:
        operation = self._registry.operations.get(app.operation or "")
        if operation is None:
            return math.inf
        remaining_s = _remaining(operation.started.at, self._registry.capacity.seconds("createSeconds"))
        if remaining_s > 0:
            return remaining_s
        failed = operation.doomed
        provisioning = Provisioning.FAILED if failed else Provisioning.SUCCEEDED
        self._registry.save_app(replace(app, provisioning=provisioning, operation=None))
        self._end_operation(operation, OperationStatus.FAILED if failed else OperationStatus.SUCCEEDED)
        return AT_ONCE

    def _end_operation(self, operation: Operation, status: OperationStatus, *, announced: bool = True) -> None:
        error = None
        if status is OperationStatus.FAILED:
            name = operation.app_id.rsplit("/", 1)[-1]
            message = f"Failed to provision revision for container app '{name}'. Error details: Operation expired."
            error = {"code": "ContainerAppOperationError", "message": message}
        ended = self._registry.save_operation(replace(operation, status=status, ended_at=now(), error=error))
        if announced:
            self._announce(ended)

    async def _end_container(self, app: App) -> None:
        if app.replica is not None and app.replica.phase in {Phase.RUNNING, Phase.BACKING_OFF}:
            await self._replicas.put_down(app)

    async def _clear_unknown_directories(self) -> None:
        known = {app.replica.directory for app in self._registry.apps.values() if app.replica is not None}
        for directory in self._root.glob("*"):
            if directory.name not in known:
                await self._machine.clear(directory)


def _remaining(since: datetime, delay_s: float) -> float:
    return max(0.0, delay_s - (now() - since).total_seconds())


async def _wait(wake: asyncio.Event, pause_s: float) -> None:
    try:
        await asyncio.wait_for(wake.wait(), None if math.isinf(pause_s) else pause_s)
    except TimeoutError:
        return
