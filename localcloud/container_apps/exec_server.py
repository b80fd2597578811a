"""The exec websocket: the handshake with its refusals, then one program on a pty until either side ends."""

from __future__ import annotations

import asyncio
import re
import shlex
from pathlib import Path
from weakref import WeakSet

from aiohttp import WSCloseCode, web

from localcloud.container_apps import frames
from localcloud.container_apps.access_tokens import admits, bearer
from localcloud.container_apps.containers import exec_plan, first_container
from localcloud.container_apps.exec_relay import Cuts, Relay
from localcloud.container_apps.faults import number
from localcloud.container_apps.ports import CommandNotFound, Machine, Terminal
from localcloud.container_apps.records import App, Phase, Replica, app_id
from localcloud.container_apps.registry import Registry, now

_PATH = re.compile(
    r"/subscriptions/(?P<subscription>[^/]+)/resourcegroups/(?P<group>[^/]+)/containerapps/(?P<app>[^/]+)"
    r"/revisions/(?P<revision>[^/]+)/replicas/(?P<replica>[^/]+)/containers/(?P<container>[^/]+)/exec",
    re.IGNORECASE,
)
_DEFAULT_COMMAND = "sh"


class Refused(Exception):
    """The handshake is answered with a plain HTTP status."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.text = text


class ExecServer:
    """Serves exec for the running replicas that the registry knows."""

    def __init__(self, *, registry: Registry, machine: Machine, root: Path) -> None:
        self._registry = registry
        self._machine = machine
        self._root = root
        self._sockets: WeakSet[web.WebSocketResponse] = WeakSet()
        self._transports: dict[asyncio.Transport, str] = {}

    async def handle(self, request: web.Request) -> web.StreamResponse:
        try:
            app, replica = self._admit(request)
        except Refused as refusal:
            return web.Response(status=refusal.status, text=refusal.text)
        socket = web.WebSocketResponse(autoping=False, compress=False, max_msg_size=1024 * 1024)
        if not socket.can_prepare(request).ok:
            return web.Response(status=400, text="This address is a websocket; use the exec protocol.")
        cuts = self._cuts(app)
        await socket.prepare(request)
        self._sockets.add(socket)
        transport = request.transport
        if transport is not None:
            self._transports[transport] = app.name
        try:
            await self._serve(socket, request, app, replica, cuts)
        finally:
            if transport is not None:
                self._transports.pop(transport, None)
        return socket

    async def count(self, _request: web.Request) -> web.Response:
        """Tell how many connections are open."""
        return web.json_response({"open": len(self._transports)})

    async def cut(self, request: web.Request) -> web.Response:
        """Cut off every open connection without a word (`?app=`: of apps whose name begins so); tell how many."""
        meant = [it for it, app in self._transports.items() if app.startswith(request.query.get("app", ""))]
        for transport in meant:
            transport.abort()
        return web.json_response({"cut": len(meant)})

    async def close(self, _app: web.Application) -> None:
        """Say goodbye on every open socket: the server is about to stop."""
        for socket in list(self._sockets):
            await socket.close(code=WSCloseCode.GOING_AWAY)

    def _admit(self, request: web.Request) -> tuple[App, Replica]:
        """Find the replica that the path names and the token opens; raises Refused with 401, 404 or 500."""
        match = _PATH.fullmatch(request.path)
        if match is None:
            raise Refused(404, "There is nothing at this address.")
        resource_id = app_id(match["subscription"], match["group"], match["app"])
        uid = admits(bearer(request.headers.get("Authorization", "")), resource_id, key=self._registry.signing_key)
        if uid is None:
            raise Refused(401, "The token is missing, expired, or not for this container app.")
        app = self._registry.apps.get(uid)
        if app is None or app.replica is None or not _names_match(app, app.replica, match):
            raise Refused(404, "The revision, replica or container does not exist.")
        if app.replica.phase is not Phase.RUNNING or self._too_early(app, app.replica):
            raise Refused(500, "The cluster exec endpoint is not ready.")
        return app, app.replica

    def _too_early(self, app: App, replica: Replica) -> bool:
        window_s = self._registry.faults.peek("exec_500_for", app.name)
        if window_s is None or replica.running_at is None:
            return False
        early = (now() - replica.running_at).total_seconds() < number(window_s)
        return early and self._registry.faults.hit("exec_500_for", app.name) is not None

    def _cuts(self, app: App) -> Cuts:
        faults = self._registry.faults
        after = faults.hit("exec_drop_after", app.name)
        limits = after if isinstance(after, dict) else {"seconds": after}
        return Cuts(
            idle_s=faults.seconds("exec_idle_drop", app.name),
            after_s=None if limits.get("seconds") is None else number(limits["seconds"]),
            after_bytes=None if limits.get("bytes") is None else int(number(limits["bytes"])),
            after_frames=None if limits.get("frames") is None else int(number(limits["frames"])),
            binary=faults.hit("exec_text_only", app.name) is not None,
            unclean=faults.hit("exec_not_clean", app.name) is not None,
        )

    async def _serve(
        self, socket: web.WebSocketResponse, request: web.Request, app: App, replica: Replica, cuts: Cuts
    ) -> None:
        container = str(first_container(app)["name"])
        await socket.send_bytes(frames.info(f"Connecting to the container '{container}'..."))
        command = request.query.get("command") or _DEFAULT_COMMAND
        try:
            terminal = self._open(app, replica, command)
        except (CommandNotFound, ValueError) as error:
            await socket.send_bytes(frames.could_not_run(f"error executing command [{command}]: {error}"))
            await socket.close()
            return
        await socket.send_bytes(
            frames.info(
                f"Successfully connected to container: '{container}'. [ Revision: '{replica.revision}', "
                f"Replica: '{replica.name}'.]"
            )
        )
        await Relay(socket=socket, transport=request.transport, terminal=terminal, command=command, cuts=cuts).run()

    def _open(self, app: App, replica: Replica, command: str) -> Terminal:
        """Start the command in the replica; raises ValueError for unbalanced quotes, CommandNotFound."""
        words = tuple(shlex.split(command)) or (_DEFAULT_COMMAND,)
        return self._machine.open_terminal(exec_plan(app, replica, self._root, words))


def _names_match(app: App, replica: Replica, match: re.Match[str]) -> bool:
    return (match["revision"].lower(), match["replica"].lower(), match["container"].lower()) == (
        replica.revision.lower(),
        replica.name.lower(),
        str(first_container(app)["name"]).lower(),
    )
