"""A running Container Apps stand-in for tests: served from a thread, driven by the real SDK and a stock exec client."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Coroutine, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from socket import create_server
from typing import Any, TypeVar

import websockets
from aiohttp import web
from azure.core.credentials import AccessToken
from azure.core.pipeline import PipelineRequest
from azure.core.pipeline.policies import SansIOHTTPPolicy
from azure.mgmt.appcontainers import ContainerAppsAPIClient

from localcloud.container_apps import ContainerAppsCloud, InvalidToken, LocalMachine, Origins
from localcloud.container_apps.catalog import ENVIRONMENTS, RESOURCE_GROUP, SUBSCRIPTION

_PAUSE = threading.Event()
Seen = TypeVar("Seen")
GOOD_TOKEN = "good-token"
WAIT_S = 30.0
SLEEPER = ["/bin/sh", "-c", "sleep infinity"]


class BearerPolicy(SansIOHTTPPolicy[Any, Any]):
    """Sets the header itself: the SDK's own policy refuses plain http."""

    def __init__(self, token: str) -> None:
        self._token = token

    def on_request(self, request: PipelineRequest[Any]) -> None:
        request.http_request.headers["Authorization"] = f"Bearer {self._token}"


class Credential:
    def get_token(self, *_scopes: str, **_options: Any) -> AccessToken:
        return AccessToken("unused", 2**40)


def sdk_client(origin: str, token: str = GOOD_TOKEN, **options: Any) -> ContainerAppsAPIClient:
    return ContainerAppsAPIClient(
        Credential(),
        SUBSCRIPTION,
        base_url=origin,
        credential_scopes=["https://management.azure.com/.default"],
        authentication_policy=BearerPolicy(token),
        polling_interval=1,
        **options,
    )


def body(
    *, command: list[str] | None = None, region: str = "westus3", profile: str = "gpu-t4", **extra: Any
) -> dict[str, Any]:
    """A session app's body as the control plane sends it."""
    resources = {"gpu-t4": (8.0, "56Gi"), "gpu-a100": (24.0, "220Gi"), "Consumption": (0.5, "1Gi")}[profile]
    container: dict[str, Any] = {
        "name": "shell",
        "image": "mcr.microsoft.com/k8se/gpu-quickstart:latest",
        "command": command or SLEEPER,
        "resources": {"cpu": resources[0], "memory": resources[1]},
        **extra.pop("container", {}),
    }
    return {
        "location": region,
        "tags": {"session": "s-1"},
        "properties": {
            "environmentId": ENVIRONMENTS[f"gpu-{region}"].id,
            "workloadProfileName": profile,
            "configuration": {"activeRevisionsMode": "Single", **extra.pop("configuration", {})},
            "template": {
                "terminationGracePeriodSeconds": 0,
                "containers": [container],
                "scale": {"minReplicas": 1, "maxReplicas": 1},
            },
        },
        **extra,
    }


def wait_until(look: Callable[[], Seen], what: str = "the condition") -> Seen:
    """Look again and again until the answer is true, and return it."""
    deadline = time.monotonic() + WAIT_S
    while not (seen := look()):
        assert time.monotonic() < deadline, f"waited {WAIT_S} s for {what}"
        _PAUSE.wait(0.01)
    return seen


def http(method: str, url: str, payload: object = None, **headers: str) -> tuple[int, Any, Mapping[str, str]]:
    """Ask and return status, body (parsed if JSON) and headers, whatever the status."""
    data = None if payload is None else json.dumps(payload).encode()
    request = urllib.request.Request(url, data=data, method=method, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=WAIT_S) as answer:
            return answer.status, _parsed(answer.read()), answer.headers
    except urllib.error.HTTPError as refusal:
        with refusal:
            return refusal.code, _parsed(refusal.read()), refusal.headers


def _parsed(text: bytes) -> Any:
    try:
        return json.loads(text) if text else None
    except ValueError:
        return text.decode()


@dataclass
class Handles:
    """What a test can ask of any stand-in, in this process or another."""

    arm: str
    sdk: ContainerAppsAPIClient = field(init=False)

    def __post_init__(self) -> None:
        self.sdk = sdk_client(self.arm, retry_total=0)

    def truth(self, **query: str) -> list[dict[str, Any]]:
        status, answer, _ = http("GET", f"{self.arm}/_truth?{urllib.parse.urlencode(query)}")
        assert status == 200
        return list(answer["apps"])

    def truth_of(self, name: str) -> dict[str, Any]:
        return next(row for row in reversed(self.truth()) if row["name"] == name)

    def faults(self, **switches: object) -> dict[str, Any]:
        status, answer, _ = http("PUT", f"{self.arm}/_faults", switches)
        assert status == 200, answer
        return dict(answer)

    def clear_faults(self) -> None:
        assert http("DELETE", f"{self.arm}/_faults")[0] == 200

    def capacity(self, **knobs: object) -> None:
        status, answer, _ = http("PUT", f"{self.arm}/_capacity", knobs)
        assert status == 200, answer

    def rest(
        self, method: str, path: str, payload: object = None, **headers: str
    ) -> tuple[int, Any, Mapping[str, str]]:
        """Ask ARM as the SDK would, but show everything that came back."""
        separator = "&" if "?" in path else "?"
        url = f"{self.arm}{path}{separator}api-version=2026-07-01"
        return http(method, url, payload, **({"Authorization": f"Bearer {GOOD_TOKEN}"} | headers))

    def put(self, name: str, wish: dict[str, Any] | None = None) -> Any:
        return self.sdk.container_apps.begin_create_or_update(
            RESOURCE_GROUP, name, wish or body(), polling=False
        ).result()

    def delete(self, name: str) -> None:
        self.sdk.container_apps.begin_delete(RESOURCE_GROUP, name, polling=False)

    def app(self, name: str) -> Any:
        return self.sdk.container_apps.get(RESOURCE_GROUP, name)

    def exists(self, name: str) -> bool:
        return self.rest("GET", app_path(name))[0] == 200

    def replicas(self, name: str) -> list[Any]:
        revision = self.app(name).properties.latest_revision_name
        return list(self.sdk.container_apps_revision_replicas.list_replicas(RESOURCE_GROUP, name, revision).value)

    def running_replica(self, name: str) -> Any:
        def look() -> Any:
            return next((found for found in self.replicas(name) if found.properties.running_state == "Running"), None)

        return wait_until(look, f"a running replica of {name}")

    def run_app(self, name: str, wish: dict[str, Any] | None = None) -> Any:
        """Create an app and wait until its replica runs."""
        self.put(name, wish)
        return self.running_replica(name)

    def token(self, name: str) -> str:
        return str(self.sdk.container_apps.get_auth_token(RESOURCE_GROUP, name).properties.token)

    def gone(self, name: str) -> None:
        """Delete the app and wait until ARM says that it is not there."""
        self.delete(name)
        wait_until(lambda: not self.exists(name), f"{name} to be gone")


def app_path(name: str) -> str:
    return f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{RESOURCE_GROUP}/providers/Microsoft.App/containerApps/{name}"


@dataclass
class LocalCloud(Handles):
    """A stand-in in this process, with the events that it raised and its folder."""

    exec: str = ""
    state: Path = Path()
    events: list[dict[str, Any]] = field(default_factory=list)

    def exec_in(self, name: str, command: str, *keys: str | bytes, size: tuple[int, int] | None = None) -> ExecResult:
        """Run a command over exec as the stock client does, type the keys, and wait for the end."""
        url = self.running_replica(name).properties.containers[0].exec_endpoint
        return asyncio.run(exec_once(url, self.token(name), command, *keys, size=size))


@contextlib.contextmanager
def running_cloud(state: Path) -> Iterator[LocalCloud]:
    """Serve a stand-in from a thread of its own until the block ends."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="container apps")
    thread.start()
    events: list[dict[str, Any]] = []

    def on_loop(work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, loop).result(timeout=WAIT_S)

    try:
        cloud, runners, origins = on_loop(_serve(state, events))
        try:
            yield LocalCloud(arm=origins.arm, exec=origins.exec, state=state, events=events)
        finally:
            for runner in runners:
                on_loop(runner.cleanup())
            on_loop(cloud.stop())
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def check_token(token: str) -> Mapping[str, object]:
    if not token.startswith(GOOD_TOKEN):
        raise InvalidToken("it is not the good one")
    return {"oid": token, "idtyp": "app", "appid": token}


async def _serve(state: Path, events: list[dict[str, Any]]) -> tuple[ContainerAppsCloud, list[web.AppRunner], Origins]:
    async def publish(event: dict[str, object]) -> None:
        events.append(event)

    arm_socket, exec_socket = create_server(("127.0.0.1", 0)), create_server(("127.0.0.1", 0))
    origins = Origins(
        arm=f"http://127.0.0.1:{arm_socket.getsockname()[1]}", exec=f"http://127.0.0.1:{exec_socket.getsockname()[1]}"
    )
    cloud = ContainerAppsCloud(
        state=state, origins=origins, check_token=check_token, publish=publish, machine=LocalMachine()
    )
    await cloud.start()
    runners = [web.AppRunner(app, shutdown_timeout=2) for app in (cloud.arm_app(), cloud.exec_app())]
    for runner, listening in zip(runners, (arm_socket, exec_socket), strict=True):
        await runner.setup()
        await web.SockSite(runner, listening).start()
    return cloud, runners, origins


@dataclass
class ExecResult:
    """What a stock exec client saw: text by kind, the exit code that it worked out, and how the connection ended."""

    output: str = ""
    infos: list[str] = field(default_factory=list)
    error: str = ""
    close_code: int | None = None
    opcodes: set[str] = field(default_factory=set)

    @property
    def exit_code(self) -> int | None:
        """0 on a plain close without an error, the code in the error's text, None when nobody can know."""
        if not self.error:
            return 0 if self.close_code == 1000 else None
        match = re.search(r"exit code (\d+)", self.error)
        return int(match.group(1)) if match else None

    def take(self, frame: str | bytes) -> None:
        self.opcodes.add("text" if isinstance(frame, str) else "binary")
        data = frame.encode() if isinstance(frame, str) else frame
        if data[0] == 0:
            assert data[1] in (1, 2), f"unexpected cluster byte {data[1]}"
            self.output += data[2:].decode("utf-8", errors="replace")
        elif data[0] == 1:
            self.infos.append(data[1:].decode())
        else:
            self.error = data[1:].decode()


def connect(url: str, token: str, command: str) -> Any:
    """Open exec as the stock client does: the command quoted into the query, the token in a header, no subprotocol."""
    return websockets.connect(
        f"{url}?command={urllib.parse.quote_plus(command)}",
        additional_headers={"Authorization": f"Bearer {token}"},
        ping_interval=None,
        compression=None,
    )


def resize_frame(columns: int, rows: int) -> str:
    return "\x00\x04" + json.dumps({"Width": columns, "Height": rows})


async def exec_once(
    url: str, token: str, command: str, *keys: str | bytes, size: tuple[int, int] | None = None
) -> ExecResult:
    """Strings are typed one character a TEXT frame, as the stock client does; bytes go as one BINARY frame."""
    seen = ExecResult()
    async with asyncio.timeout(WAIT_S), connect(url, token, command) as socket:
        try:
            if size is not None:
                await socket.send(resize_frame(*size))
            for typed in keys:
                if isinstance(typed, bytes):
                    await socket.send(b"\x00\x00" + typed)
                else:
                    for character in typed:
                        await socket.send("\x00\x00" + character)
            async for frame in socket:
                seen.take(frame)
        except websockets.ConnectionClosedError:
            pass
        seen.close_code = socket.close_code
    return seen


def is_running(pid: int) -> bool:
    """Whether the process is there and not just waiting to be collected."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
    except OSError:
        return False


def processes_with(word: str) -> list[int]:
    """Find processes by a word in their command line, whatever their environment says."""
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit() and int(name) != os.getpid():
            with contextlib.suppress(OSError):
                if word.encode() in Path(f"/proc/{name}/cmdline").read_bytes() and is_running(int(name)):
                    found.append(int(name))
    return found
