"""The handles for tests and people: what really ran, the fault switches, capacity and delays. No token needed."""

from __future__ import annotations

import json
from collections.abc import Mapping

from aiohttp import web

from localcloud.container_apps.capacity import UnknownSetting
from localcloud.container_apps.lifecycle import Lifecycle
from localcloud.container_apps.ports import Machine
from localcloud.container_apps.records import Json, Truth
from localcloud.container_apps.registry import Registry, now
from localcloud.container_apps.rendering import timestamp


class Handles:
    """`/_truth`, `/_faults` and `/_capacity`."""

    def __init__(self, *, registry: Registry, lifecycle: Lifecycle, machine: Machine) -> None:
        self._registry = registry
        self._lifecycle = lifecycle
        self._machine = machine

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/_truth", self.get_truth),
            web.delete("/_truth", self.forget_truth),
            web.get("/_faults", self.get_faults),
            web.put("/_faults", self.put_faults),
            web.delete("/_faults", self.clear_faults),
            web.get("/_capacity", self.get_capacity),
            web.put("/_capacity", self.put_capacity),
            web.delete("/_capacity", self.reset_capacity),
        ]

    async def get_truth(self, request: web.Request) -> web.Response:
        """List every app that ever was, from the processes themselves; `?alive=1` only those with a living one."""
        rows = await self._truth_rows()
        if request.query.get("alive") == "1":
            rows = [row for row in rows if row["alive"]]
        return web.json_response({"apps": rows})

    async def forget_truth(self, _request: web.Request) -> web.Response:
        """Forget the apps that are deleted and have no process left; the others stay."""
        for row in await self._truth_rows():
            if row["deletedAt"] is not None and not row["alive"]:
                self._registry.forget_truth(row["uid"])
        return web.Response(status=204)

    async def get_faults(self, _request: web.Request) -> web.Response:
        return web.json_response(self._registry.faults.view())

    async def put_faults(self, request: web.Request) -> web.Response:
        changes = await _object(request)
        try:
            self._registry.faults.change(changes)
        except UnknownSetting as problem:
            raise _bad_request(str(problem)) from problem
        return self._faults_changed()

    async def clear_faults(self, _request: web.Request) -> web.Response:
        self._registry.faults.clear()
        return self._faults_changed()

    def _faults_changed(self) -> web.Response:
        self._registry.save_faults()
        self._lifecycle.wake_all()
        return web.json_response(self._registry.faults.view())

    async def get_capacity(self, _request: web.Request) -> web.Response:
        return web.json_response(self._registry.capacity.view())

    async def put_capacity(self, request: web.Request) -> web.Response:
        changes = await _object(request)
        try:
            self._registry.capacity.change(changes)
        except UnknownSetting as problem:
            raise _bad_request(str(problem)) from problem
        return self._capacity_changed()

    async def reset_capacity(self, _request: web.Request) -> web.Response:
        self._registry.capacity.reset()
        return self._capacity_changed()

    def _capacity_changed(self) -> web.Response:
        self._registry.save_capacity()
        self._lifecycle.wake_all()
        return web.json_response(self._registry.capacity.view())

    async def _truth_rows(self) -> list[Json]:
        living = await self._machine.processes()
        return [_row(truth, living) for truth in self._registry.truth.values()]


def _row(truth: Truth, living: Mapping[str, tuple[int, ...]]) -> Json:
    pids = [pid for replica in truth.replicas for pid in living.get(replica, ())]
    running_s = 0.0 if truth.running_since is None else (now() - truth.running_since).total_seconds()
    return {
        "uid": truth.uid,
        "name": truth.name,
        "id": truth.id,
        "tags": truth.tags,
        "region": truth.region,
        "gpuType": truth.gpu_type,
        "createdAt": timestamp(truth.created_at),
        "replicaStartedAt": truth.replica_started_at and timestamp(truth.replica_started_at),
        "replicaEndedAt": truth.replica_ended_at and timestamp(truth.replica_ended_at),
        "deletedAt": truth.deleted_at and timestamp(truth.deleted_at),
        "alive": bool(pids),
        "pids": pids,
        "gpuSeconds": round(truth.gpu_seconds_before + (running_s if truth.gpu_type else 0.0), 3),
    }


async def _object(request: web.Request) -> Json:
    try:
        body = json.loads(await request.read())
    except ValueError as error:
        raise _bad_request(f"the body is not JSON: {error}") from error
    if not isinstance(body, dict):
        raise _bad_request("the body must be a JSON object")
    return body


def _bad_request(message: str) -> web.HTTPBadRequest:
    body = json.dumps({"error": {"code": "InvalidSetting", "message": message}})
    return web.HTTPBadRequest(text=body, content_type="application/json")
