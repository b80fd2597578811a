"""The control plane as the command sees it (DESIGN.md section 6): one shell at a time, driven by the test."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

from fake_exec import FakeExec

TOKEN = "the-persons-token"
PHASES = ("Creating", "Assigning", "Pulling", "Starting", "VerifyingGpu")


@dataclass
class Call:
    method: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    body: dict[str, object] | None


@dataclass
class FakeControlPlane:
    exec: FakeExec
    phases: list[str] = field(default_factory=lambda: list(PHASES))
    held_at: str | None = None
    """The phase that does not pass until the test says so."""
    refuse_open: tuple[int, str, str] | None = None
    operation_error: tuple[str, str] | None = None
    busy_answers: int = 0
    """How many of the next calls are answered 503."""
    queue_positions: list[int] = field(default_factory=list)
    connect_not_ready: int = 0
    renew_after_s: float = 30.0
    warnings: list[dict[str, str]] = field(default_factory=list)
    sessions: list[dict[str, object]] = field(default_factory=list)
    offers: list[dict[str, object]] = field(default_factory=list)
    page_size: int = 100
    calls: list[Call] = field(default_factory=list)
    shell: dict[str, object] | None = None
    closed: bool = False
    close_allowed: threading.Event = field(default_factory=threading.Event)
    """Cleared, closing a shell is not answered for now."""
    port: int = 0

    def __post_init__(self) -> None:
        self._lock = threading.RLock()
        self.close_allowed.set()

    @contextlib.contextmanager
    def running(self) -> Iterator[FakeControlPlane]:
        server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        server.daemon_threads = True
        self.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            server.shutdown()
            server.server_close()

    def end_session(self, reason: str) -> None:
        """What happens when the control plane stops the session: the row first, then the container."""
        with self._lock:
            assert self.shell is not None
            self.shell |= {"state": "Stopping", "stopReason": reason, "endReason": reason}

    def made(self, method: str, ending: str) -> list[Call]:
        with self._lock:
            return [call for call in self.calls if call.method == method and call.path.endswith(ending)]

    def answer(self, call: Call) -> tuple[int, dict[str, object] | None, dict[str, str]]:
        with self._lock:
            self.calls.append(call)
        if call.method == "DELETE":
            assert self.close_allowed.wait(60)
        with self._lock:
            if self.busy_answers:
                self.busy_answers -= 1
                return 503, None, {"Retry-After-Ms": "10"}
            if call.path == "/token":
                return 200, {"access_token": TOKEN, "expires_in": 3600}, {}
            if call.headers.get("authorization") != f"Bearer {TOKEN}":
                return _error(401, "Unauthorized", "the token is not accepted")
            if call.query.get("api-version") != ["2026-12-01-preview"]:
                return _error(400, "MissingApiVersionParameter", "api-version is missing")
            return self._route(call)

    def _route(self, call: Call) -> tuple[int, dict[str, object] | None, dict[str, str]]:
        match call.method, call.path.removeprefix("/api/projects/demo").strip("/").split("/"):
            case "PUT", ["users", "me", "shells", shell]:
                return self._open(shell, call)
            case "GET", ["users", "me", "shells", shell] if self._knows(shell):
                return 200, self.shell, {}
            case "DELETE", ["users", "me", "shells", shell]:
                return self._close(shell)
            case "POST", ["users", "me", "shells", shell, "connect"] if self._knows(shell):
                return self._connect()
            case "POST", ["users", "me", "shells", shell, "renewLease"] if self._knows(shell):
                return self._renew()
            case "GET", ["operations", "op-1"]:
                return self._operation()
            case "GET", ["sessions"]:
                return self._page(self.sessions, call)
            case "GET", ["offers"]:
                return 200, {"value": self.offers}, {}
            case "GET", ["sessions", session] if found := self._session(session):
                return 200, found, {}
            case "POST", ["sessions", session, "stop"] if found := self._session(session):
                found["state"] = "Stopping"
                return 202, found, {}
        return _error(404, "NotFound", f"there is no {call.path}")

    def _open(self, shell: str, call: Call) -> tuple[int, dict[str, object] | None, dict[str, str]]:
        if self.refuse_open is not None:
            return _error(*self.refuse_open)
        self.shell = {
            "id": shell,
            "session": "s-fake",
            "state": "Requested",
            "gpuType": (call.body or {}).get("gpuType", "T4"),
            "region": "westus3",
            "createdAt": "2026-11-21T22:00:00Z",
            "leaseExpiresAt": "2026-11-21T22:00:00.400Z" if self.renew_after_s < 1 else "2026-11-21T22:02:30Z",
            "price": {"amountPerHour": "1.5588", "currency": "USD"},
            "etag": '"1"',
            "aFieldOfTheFuture": 1,
        }
        location = f"http://127.0.0.1:{self.port}/api/projects/demo/operations/op-1?api-version=2026-12-01-preview"
        return 201, self.shell, {"Operation-Location": location, "Retry-After-Ms": "20"}

    def _operation(self) -> tuple[int, dict[str, object] | None, dict[str, str]]:
        assert self.shell is not None
        answer: dict[str, object] = {"id": "op-1", "status": "Running", "region": "westus3"}
        if self.queue_positions:
            answer["queuePosition"] = self.queue_positions.pop(0)
        elif self.phases:
            answer["phase"] = self.phases[0]
            if self.phases[0] != self.held_at:
                self.phases.pop(0)
        elif self.operation_error is not None:
            code, message = self.operation_error
            self.shell |= {"state": "Ended", "endReason": "Refused", "error": {"code": code, "message": message}}
            answer |= {"status": "Failed", "error": {"code": code, "message": message}}
        else:
            self.shell["state"] = "Running"
            answer["status"] = "Succeeded"
        return 200, answer, {"Retry-After-Ms": "20"}

    def _connect(self) -> tuple[int, dict[str, object] | None, dict[str, str]]:
        assert self.shell is not None
        if self.connect_not_ready or self.shell["state"] != "Running":
            self.connect_not_ready = max(0, self.connect_not_ready - 1)
            return _error(409, "ShellNotReady", "the session is not running")
        token = f"exec-{len(self.exec.tokens)}"
        self.exec.tokens.add(token)
        url = f"ws://127.0.0.1:{self.exec.port}/subscriptions/s/containers/shell/exec"
        return 200, {"execUrl": url, "token": token, "tokenExpiresAt": "2026-11-21T23:00:00Z"}, {}

    def _renew(self) -> tuple[int, dict[str, object] | None, dict[str, str]]:
        assert self.shell is not None
        if self.shell["state"] in {"Stopping", "Ended"}:
            status, body, headers = _error(409, "ShellEnded", "the session of this shell was stopped")
            assert isinstance(body, dict)
            body["error"] |= {"details": [{"endReason": self.shell["endReason"]}]}  # type: ignore[operator]
            return status, body, headers
        return 200, {"renewAfterSeconds": self.renew_after_s, "warnings": self.warnings}, {}

    def _close(self, shell: str) -> tuple[int, dict[str, object] | None, dict[str, str]]:
        self.closed = True
        if not self._knows(shell):
            return 204, None, {}
        assert self.shell is not None
        cost = {"amount": "0.4123", "currency": "USD", "estimated": True}
        self.shell |= {"state": "Stopping", "durationSeconds": 2530, "cost": cost}
        return 202, self.shell, {}

    def _page(self, items: list[dict[str, object]], call: Call) -> tuple[int, dict[str, object], dict[str, str]]:
        start = int(call.query.get("skip", ["0"])[0])
        page: dict[str, object] = {"value": items[start : start + self.page_size]}
        if start + self.page_size < len(items):
            page["nextLink"] = f"http://elsewhere.example/api/projects/demo/sessions?skip={start + self.page_size}"
        return 200, page, {}

    def _knows(self, shell: str) -> bool:
        return self.shell is not None and self.shell["id"] == shell

    def _session(self, session: str) -> dict[str, object] | None:
        return next((found for found in self.sessions if found["id"] == session), None)


def _error(status: int, code: str, message: str) -> tuple[int, dict[str, object] | None, dict[str, str]]:
    return status, {"error": {"code": code, "message": message}}, {"x-ms-error-code": code, "x-ms-request-id": "req-7"}


def _handler(plane: FakeControlPlane) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self) -> None:
            parts = urlsplit(self.path)
            content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            body = json.loads(content) if content else None
            status, answer, extra = plane.answer(Call(self.command, parts.path, parse_qs(parts.query), headers, body))
            data = b"" if answer is None else json.dumps(answer).encode()
            self.send_response(status)
            for name, value in {**extra, "Content-Length": str(len(data))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_PUT = do_POST = do_DELETE = handle_any

        def log_message(self, format: str, *args: object) -> None: ...

    return Handler
