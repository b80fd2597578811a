"""A host in a thread of its own, and plain HTTP to it: nothing is quoted, joined or redirected on the way."""

import asyncio
import http.client
import json
import shutil
import socket
import textwrap
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from localcloud.functions_host.clock import SystemClock
from localcloud.functions_host.serving import FunctionsHost, HostOptions

HOST_JSON = {"version": "2.0"}
_never = threading.Event()
PREAMBLE = """
import json
import azure.functions as func
app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)
"""


def write_app(root: Path, source: str, *, host_json=HOST_JSON, settings=None, preamble=PREAMBLE, files=None) -> Path:
    """Write an app folder; host_json may be an object, a text to be written as it is, or None for no such file."""
    root.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(root / "__pycache__", ignore_errors=True)  # Python knows a source by its size and the second
    (root / "function_app.py").write_text(preamble + textwrap.dedent(source), encoding="utf-8")
    for name, content in {"host.json": host_json, "local.settings.json": settings, **(files or {})}.items():
        if content is not None:
            text = content if isinstance(content, str) else json.dumps(content)
            (root / name).write_text(text, encoding="utf-8")
    return root


@dataclass(frozen=True)
class Reply:
    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)

    def json(self):
        return json.loads(self.body)


def send(port: int, method: str, path: str, headers=(), body: bytes | None = None, timeout_s: float = 20) -> Reply:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout_s)
    try:
        has_host = any(name.lower() == "host" for name, _ in headers)
        connection.putrequest(method, path, skip_host=has_host, skip_accept_encoding=True)
        for name, value in headers:
            connection.putheader(name, value)
        if body is not None:
            connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body)
        answer = connection.getresponse()
        return Reply(answer.status, answer.getheaders(), answer.read())
    finally:
        connection.close()


def until(predicate, seconds: float = 10):
    """Wait for something to come true, and return it."""
    deadline = time.monotonic() + seconds
    while not (value := predicate()):
        assert time.monotonic() < deadline, "it did not come true in time"
        _never.wait(0.01)
    return value


def refuses(port: int) -> bool:
    """Whether nobody listens on a port."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except ConnectionRefusedError:
        return True
    except ConnectionResetError:  # it was just closing
        return False
    return False


class ServedApp:
    """A host of one app, on a loop in a thread."""

    def __init__(self, root: Path, *, state: Path, keys: bool = False, environ=None, clock=None, is_strict=False):
        self.root, self.state = root, state
        self.keys_file = state / "keys.json" if keys else None
        self.environ = {} if environ is None else dict(environ)
        options = HostOptions(
            root=root, state=state, keys_file=self.keys_file, preferred_rpc_port=0, is_strict=is_strict
        )
        self.host = FunctionsHost(options, clock=clock or SystemClock(), environ=self.environ)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def start(self) -> None:
        self._thread.start()
        self._on_loop(self.host.start())

    def stop(self, drain_s: float = 2.0) -> None:
        if self._thread.is_alive():
            self._on_loop(self.host.stop(drain_s))
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(10)
            self._loop.close()

    def _on_loop(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(30)

    @property
    def keys(self) -> dict[str, str]:
        return json.loads(self.keys_file.read_text())

    def request(self, method: str, path: str, headers=(), body: bytes | None = None) -> Reply:
        return send(self.host.port, method, path, headers, body)

    def get(self, path: str, headers=()) -> Reply:
        return self.request("GET", path, headers)

    def post_json(self, path: str, value, headers=()) -> Reply:
        pairs = [("Content-Type", "application/json"), *headers]
        return self.request("POST", path, pairs, json.dumps(value).encode())
