"""An app's system log (reference/azure.md 3.3): the events that its record implies, one JSON object a line."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import datetime

from aiohttp import web

from localcloud.container_apps.access_tokens import admits, bearer
from localcloud.container_apps.containers import first_container
from localcloud.container_apps.records import App, Json, Phase, Replica, app_id
from localcloud.container_apps.registry import Registry, now
from localcloud.container_apps.rendering import timestamp

_PATH = re.compile(
    r"/subscriptions/(?P<subscription>[^/]+)/resourcegroups/(?P<group>[^/]+)/containerapps/(?P<app>[^/]+)/eventstream",
    re.IGNORECASE,
)
# The same words for no GPU, no quota and a full profile: reference/azure.md 4.6.
_NO_CAPACITY = (
    "Maximum Allowed Cores exceeded for the Managed Environment. Please check "
    "https://learn.microsoft.com/en-us/azure/container-apps/quotas for resource limits"
)
_DOOMED = {"no_gpu", "profile_full"}
_REPEATED_EVERY_S = 10.0
_PULL = ("PullingImage", "Pulling image '{image}'")
_START = (_PULL, ("PulledImage", "Successfully pulled image '{image}'"))
_RUN = (*_START, ("ContainerCreated", "Created container '{name}'"), ("ContainerStarted", "Started container '{name}'"))
_PASSED = {
    Phase.ASSIGNING: (),
    Phase.FULL: (),
    Phase.PULLING: (_PULL,),
    Phase.STARTING: _START,
    Phase.RUNNING: (*_RUN, ("RevisionReady", "Successfully provisioned revision '{revision}'")),
    Phase.BACKING_OFF: (*_RUN, ("ContainerTerminated", "Container '{name}' was terminated. {exit}")),
}


class SystemLog:
    """Serves the log to whoever has the app's exec token. The service's own stream goes on; this one ends."""

    def __init__(self, *, registry: Registry) -> None:
        self._registry = registry

    async def handle(self, request: web.Request) -> web.Response:
        match = _PATH.fullmatch(request.path)
        if match is None:
            return web.Response(status=404, text="There is nothing at this address.")
        resource_id = app_id(match["subscription"], match["group"], match["app"])
        token = bearer(request.headers.get("Authorization", ""))
        uid = admits(token, resource_id, key=self._registry.signing_key)
        if uid is None:
            return web.Response(status=401, text="The token is missing, expired, or not for this container app.")
        app = self._registry.apps.get(uid)
        if app is None:
            return web.Response(status=404, text="The container app does not exist.")
        if self._registry.faults.hit("system_log_away", app.name) is not None:
            return web.Response(status=503, text="The log stream is not available.")
        lacks_gpu = app.gpu_type is not None and not self._registry.has_free_gpu(app, app.gpu_type)
        lines = [json.dumps(event) for event in events(app, lacks_gpu=lacks_gpu)]
        return web.Response(text="".join(f"{line}\n" for line in lines), content_type="application/json")


def events(app: App, *, lacks_gpu: bool) -> Iterator[Json]:
    """Yield what has happened to the app's revision and replica, the newest last."""
    revision, replica = app.revision, app.replica
    yield _event(app, revision.created_at, "RevisionUpdate", f"Updating revision : {revision.name}")
    if replica is None:
        return
    yield _event(
        app, replica.created_at, "AssigningReplica", f"Replica '{replica.name}' has been scheduled to run on a node."
    )
    if replica.phase in {Phase.ASSIGNING, Phase.FULL} and (lacks_gpu or replica.doom in _DOOMED):
        yield _not_assigned(app, replica)
    container = first_container(app)
    words = {"name": container["name"], "image": container["image"], "revision": revision.name}
    for reason, message in _PASSED[replica.phase]:
        yield _event(app, replica.phase_at, reason, message.format(**words, exit=replica.last_exit or ""))


def _not_assigned(app: App, replica: Replica) -> Json:
    tries = 1 + int((now() - replica.created_at).total_seconds() // _REPEATED_EVERY_S)
    return _event(app, now(), "AssigningReplicaFailed", _NO_CAPACITY) | {"Type": "Warning", "Count": tries}


def _event(app: App, at: datetime, reason: str, message: str) -> Json:
    return {
        "TimeStamp": timestamp(at),
        "Type": "Normal",
        "ContainerAppName": app.name,
        "RevisionName": app.revision.name,
        "ReplicaName": app.replica.name if app.replica is not None else "",
        "Msg": message,
        "Reason": reason,
        "EventSource": "ContainerAppController",
        "Count": 1,
    }
