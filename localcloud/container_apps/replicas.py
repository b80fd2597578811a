"""The life of a replica, apart from its app's provisioning: assigned, pulled, started, running, restarted, ended."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from localcloud.container_apps.containers import container_plan, gpu_of, new_replica_names
from localcloud.container_apps.ports import CommandNotFound, Machine, ProcessMark
from localcloud.container_apps.records import App, Phase, Provisioning, Replica
from localcloud.container_apps.registry import Registry, now

_log = logging.getLogger(__name__)
AT_ONCE = 0.0
_DOOMS = ("no_gpu", "profile_full", "replica_never")
_LONGEST_BACKOFF_S = 300.0
_GRACE_OF_THE_SERVICE_S = 30.0
_GRACE_OF_A_HOST_S = 1.0


class Replicas:
    """Steps replicas and watches their containers. Calls `wake` with the app's uid when a container has ended."""

    def __init__(self, *, registry: Registry, machine: Machine, root: Path, wake: Callable[[str], None]) -> None:
        self._registry = registry
        self._machine = machine
        self._root = root
        self._wake = wake
        self._watchers: dict[str, asyncio.Task[None]] = {}

    async def adopt(self, app: App) -> None:
        """Take over what another process left: a living container runs on, a half-started one starts anew."""
        replica = app.replica
        if replica is None:
            return
        if replica.process is not None and self._machine.is_alive(replica.process):
            self._watch(app, replica.process)
        elif replica.phase is Phase.RUNNING:
            await self._container_ended(app.uid, replica.process, None)
        elif replica.phase is Phase.STARTING:
            await self._machine.end(replica.name, self._root / replica.directory, grace_s=0)

    async def step(self, app: App) -> float:
        """Do what is due for the app's replica: AT_ONCE after a change, otherwise seconds until one may be due."""
        replica = app.replica
        if replica is None:
            return self._create(app) if self._wanted(app) else math.inf
        if not self._wanted(app) or replica.revision != app.revision.name:
            await self.end(app)
            return AT_ONCE
        if replica.doom is not None:
            return self._endure(app, replica, replica.doom)
        match replica.phase:
            case Phase.ASSIGNING | Phase.FULL:
                return self._assign(app, replica)
            case Phase.PULLING:
                return self._after(app, replica, "pullSeconds", Phase.STARTING)
            case Phase.STARTING:
                return self._start(app, replica)
            case Phase.BACKING_OFF:
                return self._back_off(app, replica)
            case Phase.RUNNING:
                return math.inf

    async def end(self, app: App) -> None:
        """End the replica: its processes, its directory, its GPU, its meter."""
        app = self._registry.apps[app.uid]
        if app.replica is None:
            return
        self._unwatch(app.uid)
        await self._end_processes(app.replica, self._grace_s(app))
        self._registry.truth_of_end(app, now())
        self._registry.save_app(replace(self._registry.apps[app.uid], replica=None))
        for other in self._registry.apps:
            self._wake(other)

    async def put_down(self, app: App) -> None:
        """End the container's processes but keep the replica, as when its host is switched off."""
        if app.replica is not None:
            await self._end_processes(app.replica, min(self._grace_s(app), _GRACE_OF_A_HOST_S))
            self._registry.truth_of_end(app, now())

    async def _end_processes(self, replica: Replica, grace_s: float) -> None:
        await self._machine.end(replica.name, self._root / replica.directory, main=replica.process, grace_s=grace_s)

    def _grace_s(self, app: App) -> float:
        wished_s = app.template.get("terminationGracePeriodSeconds")
        wished_s = _GRACE_OF_THE_SERVICE_S if wished_s is None else float(wished_s)
        return min(wished_s, self._registry.capacity.seconds("terminationSeconds"))

    def stop_watching(self) -> None:
        for uid in list(self._watchers):
            self._unwatch(uid)

    def _wanted(self, app: App) -> bool:
        """Whether the app should have a replica at all."""
        scale = app.revision.template.get("scale") or {}
        operation = self._registry.operations.get(app.operation or "")
        given_up = app.provisioning is Provisioning.FAILED or (operation is not None and operation.doomed)
        return not app.stopped and not given_up and app.revision.active and bool(scale.get("minReplicas"))

    def _create(self, app: App) -> float:
        name, directory = new_replica_names(app.revision.name)
        doom = next((switch for switch in _DOOMS if self._registry.faults.hit(switch, app.name) is not None), None)
        replica = Replica(
            name=name,
            revision=app.revision.name,
            directory=directory,
            created_at=now(),
            phase=Phase.FULL if doom == "profile_full" else Phase.ASSIGNING,
            phase_at=now(),
            doom=doom,
        )
        return self._save(app, replica)

    def _endure(self, app: App, replica: Replica, doom: str) -> float:
        if self._registry.faults.standing(doom, app.name) is None:
            return self._save(app, replace(replica, doom=None, phase_at=now()))
        if doom == "replica_never" and replica.phase is Phase.ASSIGNING:
            return self._assign(app, replica)
        return math.inf

    def _assign(self, app: App, replica: Replica) -> float:
        remaining_s = _remaining(replica.phase_at, self._registry.capacity.seconds("assignSeconds"))
        if remaining_s > 0:
            return remaining_s
        gpu = None
        if app.gpu_type is not None:
            if not self._registry.has_free_gpu(app, app.gpu_type):
                return math.inf
            broken = self._registry.faults.hit("cpu_only", app.name) is not None
            gpu = gpu_of(replica.name, app.gpu_type, broken=broken)
        return self._save(app, replace(replica, gpu=gpu, phase=Phase.PULLING, phase_at=now()))

    def _after(self, app: App, replica: Replica, delay: str, phase: Phase) -> float:
        remaining_s = _remaining(replica.phase_at, self._registry.capacity.seconds(delay))
        return remaining_s or self._save(app, replace(replica, phase=phase, phase_at=now()))

    def _start(self, app: App, replica: Replica) -> float:
        remaining_s = _remaining(replica.phase_at, self._registry.capacity.seconds("startSeconds"))
        if remaining_s > 0:
            return remaining_s
        crashing = self._registry.faults.hit("replica_crash", app.name) is not None
        has_python = self._registry.faults.hit("no_python", app.name) is None
        plan = container_plan(app, replica, self._root, crashing=crashing, has_python=has_python)
        try:
            mark = self._machine.start_container(plan)
        except CommandNotFound as error:
            return self._save(
                app, replace(replica, phase=Phase.BACKING_OFF, phase_at=now(), last_exit=f"StartError: {error}")
            )
        at = now()
        self._save(
            replace(app, ready_revision=replica.revision),
            replace(replica, phase=Phase.RUNNING, phase_at=at, running_at=at, process=mark),
        )
        self._registry.truth_of_start(app, replica, at)
        self._watch(app, mark)
        return AT_ONCE

    def _back_off(self, app: App, replica: Replica) -> float:
        first_s = self._registry.capacity.seconds("restartSeconds")
        # The first restart comes at once; the pause then doubles from the first one up to five minutes.
        pause_s = 0.0 if replica.restarts == 0 else min(first_s * 2.0 ** (replica.restarts - 1), _LONGEST_BACKOFF_S)
        remaining_s = _remaining(replica.phase_at, pause_s)
        return remaining_s or self._save(
            app, replace(replica, phase=Phase.STARTING, phase_at=now(), restarts=replica.restarts + 1)
        )

    def _save(self, app: App, replica: Replica) -> float:
        self._registry.save_app(replace(app, replica=replica))
        return AT_ONCE

    def _watch(self, app: App, mark: ProcessMark) -> None:
        watcher = asyncio.get_running_loop().create_task(self._until_exit(app.uid, mark))
        self._watchers[app.uid] = watcher

    def _unwatch(self, uid: str) -> None:
        watcher = self._watchers.pop(uid, None)
        if watcher is not None:
            watcher.cancel()

    async def _until_exit(self, uid: str, mark: ProcessMark) -> None:
        with contextlib.suppress(asyncio.CancelledError):
            await self._container_ended(uid, mark, await self._machine.wait(mark))

    async def _container_ended(self, uid: str, mark: ProcessMark | None, code: int | None) -> None:
        """Book the end of the container, once everything that was started in it has ended with it."""
        app = self._registry.apps.get(uid)
        if app is None or app.replica is None or app.replica.process != mark:
            return
        await self._machine.end(app.replica.name, self._root / app.replica.directory, grace_s=0)
        app = self._registry.apps[uid]
        if app.replica is None or app.replica.process != mark:
            return
        ended = f"Error: exit code {'unknown' if code is None else code}"
        _log.info("container.ended app=%s exit_code=%s", app.name, code)
        self._save(
            app,
            replace(
                app.replica, phase=Phase.BACKING_OFF, phase_at=now(), process=None, running_at=None, last_exit=ended
            ),
        )
        self._wake(uid)


def _remaining(since: datetime, delay_s: float) -> float:
    return max(0.0, delay_s - (now() - since).total_seconds())
