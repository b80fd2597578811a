"""The control plane as the command sees it (DESIGN.md section 6): one shell at a time, driven by the test."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

from fake_answers import Answer, Call, error
from fake_exec import FakeExec
from fake_project import FakeProject
from fake_usage import FakeUsage

TOKEN = "the-persons-token"
PHASES = ("Creating", "Assigning", "Pulling", "Starting", "VerifyingGpu")
REGIONS = ("westus3", "swedencentral", "australiaeast")


@dataclass
class FakeControlPlane:
    exec: FakeExec
    phases: list[str] = field(default_factory=lambda: list(PHASES))
    held_at: str | None = None
    """The phase that does not pass until the test says so."""
    refuse_open: tuple[int, str, str] | None = None
    operation_error: tuple[str, str] | None = None
    all_gpus_in_use: bool = False
    """A shell that may wait gets in line, another one is refused."""
    line: list[dict[str, object]] = field(default_factory=lambda: [{"queuePosition": 1}])
    """What is said of the place in line, look by look; then a GPU is free."""
    line_stands_still: bool = False
    """The last of these places is not left."""
    regions_without_gpu: set[str] = field(default_factory=set)
    fallback: str | None = None
    """The GPU type that is tried after the first try, when that failed."""
    joinable: str | None = None
    """The session that shells may join."""
    other_shells: int = 0
    """How many other shells keep the session when this one is closed."""
    explanations: dict[str, dict[str, object]] = field(default_factory=dict)
    extend_limit_minutes: float = 240.0
    project: FakeProject = field(default_factory=FakeProject)
    usage: FakeUsage = field(default_factory=FakeUsage)
    priced: bool = True
    """Whether a shell has a price from the beginning."""
    health: dict[str, object] = field(default_factory=lambda: {"status": "ok", "version": "0.1.0", "unavailable": []})
    date: str = ""
    """What its clock shows, where it is not this machine's."""
    busy_answers: int = 0
    """How many of the next calls are answered 503."""
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
        self._tries: list[dict[str, object]] = []
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

    def answer(self, call: Call) -> Answer:
        with self._lock:
            self.calls.append(call)
        if call.method == "DELETE":
            assert self.close_allowed.wait(60)
        with self._lock:
            if self.busy_answers:
                self.busy_answers -= 1
                return 503, None, {"Retry-After-Ms": "10"}
            if call.path == "/api/healthz":
                return 200, self.health, {"Date": self.date} if self.date else {}
            if call.path == "/token":
                return 200, {"access_token": TOKEN, "expires_in": 3600}, {}
            if call.headers.get("authorization") != f"Bearer {TOKEN}":
                return error(401, "Unauthorized", "the token is not accepted")
            if call.query.get("api-version") != ["2026-12-01-preview"]:
                return error(400, "MissingApiVersionParameter", "api-version is missing")
            return self._route(call)

    def _route(self, call: Call) -> Answer:
        if call.path == "/api/projects":
            return 200, {"value": [self.project.view()]}, {}
        words = call.path.removeprefix("/api/projects/demo").removeprefix("/api/").strip("/").split("/")
        match words[0]:
            case "users":
                answer = self._route_shell(words, call)
            case "sessions":
                answer = self._route_session(words, call)
            case _:
                answer = self._route_project(words, call)
        return answer or error(404, "NotFound", f"there is no {call.path}")

    def _route_shell(self, words: list[str], call: Call) -> Answer | None:
        match call.method, words:
            case "PUT", ["users", "me", "shells", _] if call.query.get("dryRun") == ["true"]:
                return self._decide(call.body or {})
            case "PUT", ["users", "me", "shells", shell]:
                return self._open(shell, call)
            case "GET", ["users", "me", "shells"]:
                return self._page([self.shell] if self.shell else [], call)
            case "GET", ["users", "me", "shells", shell] if self._knows(shell):
                return 200, self.shell, {}
            case "GET", ["users", "me", "shells"]:
                return 200, {"value": [self.shell] if self.shell is not None else []}, {}
            case "DELETE", ["users", "me", "shells", shell]:
                return self._close(shell)
            case "POST", ["users", "me", "shells", shell, "connect"] if self._knows(shell):
                return self._connect()
            case "POST", ["users", "me", "shells", shell, "renewLease"] if self._knows(shell):
                return self._renew()
        return None

    def _route_session(self, words: list[str], call: Call) -> Answer | None:
        match call.method, words:
            case "GET", ["sessions"]:
                return self._page(self.sessions, call)
            case "GET", ["sessions", session] if found := self._session(session):
                return 200, found, {}
            case "POST", ["sessions", session, "stop"] if found := self._session(session):
                found["state"] = "Stopping"
                return 202, found, {}
            case "POST", ["sessions", session, "extend"] if found := self._session(session):
                return self._extend(found, call.body or {})
            case "GET", ["sessions", session, "explain"] if session in self.explanations:
                return 200, self.explanations[session], {}
        return None

    def _route_project(self, words: list[str], call: Call) -> Answer | None:
        match call.method, words:
            case "GET", ["operations", "op-1"]:
                return self._operation()
            case "GET", ["offers"]:
                return 200, {"value": self.offers}, {}
            case "GET", ["usage"]:
                return self.usage.read(call)
            case "GET", ["usage", "reconciliation"]:
                return 200, self.usage.reconciliation, {}
            case "GET", ["activity", "verification"]:
                return 200, self.usage.verification, {}
            case "GET", ["activity"]:
                return self._page(self.usage.activity, call)
            case "GET", ["gpuSettings"]:
                return self.project.read(call)
            case "PATCH", ["gpuSettings"]:
                return self.project.patch(call)
            case "POST", ["sweep"]:
                return self.project.sweep(call)
            case "POST", ["replay"]:
                return self.project.replay(call)
            case "GET", [""]:
                return 200, self.project.view(), {}
        return None

    def _open(self, shell: str, call: Call) -> Answer:
        if self.refuse_open is not None:
            return error(*self.refuse_open)
        joins = (call.body or {}).get("session")
        if joins is not None and joins != self.joinable:
            return error(409, "SessionNotJoinable", f"session {joins} is not one that you can join")
        self._waits = self.all_gpus_in_use and (call.body or {}).get("wait") is True
        if self.all_gpus_in_use and not self._waits:
            self.phases, self.operation_error = [], ("ProjectGpuCapReached", "4 of 4 GPUs of demo are in use")
        self.shell = {
            "id": shell,
            "session": joins or "s-fake",
            "guest": joins is not None,
            "state": "Requested",
            "gpuType": (call.body or {}).get("gpuType", "T4"),
            "region": "westus3",
            "createdAt": "2026-11-21T22:00:00Z",
            "leaseExpiresAt": "2026-11-21T22:00:00.400Z" if self.renew_after_s < 1 else "2026-11-21T22:02:30Z",
            "price": {"amountPerHour": "1.5588", "currency": "USD"},
            "etag": '"1"',
            "aFieldOfTheFuture": 1,
        }
        if not self.priced:
            del self.shell["price"]
        location = f"http://127.0.0.1:{self.port}/api/projects/demo/operations/op-1?api-version=2026-12-01-preview"
        return 201, self.shell, {"Operation-Location": location, "Retry-After-Ms": "20"}

    def _operation(self) -> Answer:
        assert self.shell is not None
        if self._tries and self.fallback is not None:
            self.shell["gpuType"] = self.fallback
        answer: dict[str, object] = {"id": "op-1", "status": "Running", "gpuType": self.shell["gpuType"]}
        if self._waits and self.line:
            return 200, answer | self._place_in_line(), {"Retry-After-Ms": "20"}
        region = REGIONS[min(len(self._tries), len(REGIONS) - 1)]
        answer |= {"region": region, "attempt": len(self._tries) + 1, "tries": list(self._tries)}
        if self.regions_without_gpu and self.phases[:1] == ["Assigning"] and region in self.regions_without_gpu:
            self._fail_try(region)
        if self.phases:
            answer["phase"] = self.phases[0]
            if self.phases[0] != self.held_at:
                self.phases.pop(0)
        elif self.operation_error is not None:
            code, message = self.operation_error
            details = [{**one, "target": f"{one['region']}/{one['gpuType']}"} for one in self._tries]
            self.shell |= {"state": "Ended", "endReason": "Refused", "error": {"code": code, "message": message}}
            answer |= {"status": "Failed", "error": {"code": code, "message": message, "details": details}}
        else:
            self.shell["state"] = "Running"
            answer["status"] = "Succeeded"
        return 200, answer, {"Retry-After-Ms": "20"}

    def _place_in_line(self) -> dict[str, object]:
        place = self.line[0]
        if len(self.line) > 1 or not self.line_stands_still:
            self.line.pop(0)
        reason = "4 of 4 GPUs of demo are in use"
        return {"waitReason": reason, "waitTimesOutAt": "2026-11-21T23:00:00Z", **place}

    def _fail_try(self, region: str) -> None:
        """The attempt ends without a GPU; the next region is tried, while there is one."""
        assert self.shell is not None
        message = f"no GPU was assigned in {region} within 600 s"
        self._tries.append(
            {"region": region, "gpuType": self.shell["gpuType"], "code": "NoCapacity", "message": message}
        )
        self.phases = list(PHASES)
        if len(self._tries) == len(REGIONS):
            self.phases, self.operation_error = [], ("NoCapacity", "no region had a GPU; try again later")

    def _decide(self, body: dict[str, object]) -> Answer:
        """What opening would lead to, from the same facts that opening goes by."""
        if self.refuse_open is not None:
            return error(*self.refuse_open)
        answer: dict[str, object] = {
            "gpuType": body.get("gpuType", "T4"),
            "region": "westus3",
            "price": {"amountPerHour": "1.5588", "currency": "USD"},
        }
        why = {"code": "ProjectGpuCapReached", "message": "4 of 4 GPUs of demo are in use"}
        if body.get("session") is not None:
            return 200, answer | {"decision": "join", "session": body["session"]}, {}
        if not self.all_gpus_in_use:
            return 200, answer | {"decision": "admit", "expectedReadySeconds": 42}, {}
        if body.get("wait"):
            return 200, answer | {"decision": "wait", **why, **self.line[0]}, {}
        return 200, answer | {"decision": "refuse", **why}, {}

    def _extend(self, session: dict[str, object], body: dict[str, object]) -> Answer:
        minutes = body["minutes"]
        assert isinstance(minutes, int | float)
        if minutes > self.extend_limit_minutes:
            message = f"a session may be extended by {self.extend_limit_minutes:g} minutes in all"
            return error(409, "ExtendLimitReached", message)
        until = datetime.fromisoformat(str(session["stopsAt"])) + timedelta(minutes=minutes)
        session["stopsAt"] = until.isoformat().replace("+00:00", "Z")
        return 200, session, {}

    def _connect(self) -> Answer:
        assert self.shell is not None
        if self.connect_not_ready or self.shell["state"] != "Running":
            self.connect_not_ready = max(0, self.connect_not_ready - 1)
            return error(409, "ShellNotReady", "the session is not running")
        token = f"exec-{len(self.exec.tokens)}"
        self.exec.tokens.add(token)
        url = f"ws://127.0.0.1:{self.exec.port}/subscriptions/s/containers/shell/exec"
        return 200, {"execUrl": url, "token": token, "tokenExpiresAt": "2026-11-21T23:00:00Z"}, {}

    def _renew(self) -> Answer:
        assert self.shell is not None
        if self.shell["state"] in {"Stopping", "Ended"}:
            why = {
                "code": "Stopped",
                "message": "it was stopped",
                "target": self.shell.get("endReason", "ShellsClosed"),
            }
            return error(409, "ShellEnded", "the session of this shell was stopped", details=[why])
        return 200, {"renewAfterSeconds": self.renew_after_s, "warnings": self.warnings}, {}

    def _close(self, shell: str) -> Answer:
        self.closed = True
        if not self._knows(shell) or (self.shell is not None and self.shell["state"] == "Ended"):
            return 204, None, {}
        assert self.shell is not None
        if self.other_shells and self.shell["state"] == "Running":
            self.shell |= {"closedAt": "2026-11-21T22:42:10Z", "openShells": self.other_shells}
            return 202, self.shell, {}
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
        if self.shell is not None and self.shell["session"] == session and not self.sessions:
            others = [{"id": f"sh-other-{number}"} for number in range(self.other_shells)]
            return {**self.shell, "id": session, "shells": [{"id": self.shell["id"]}, *others]}
        return next((found for found in self.sessions if found["id"] == session), None)


def _handler(plane: FakeControlPlane) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self) -> None:
            parts = urlsplit(self.path)
            content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            body = json.loads(content) if content else None
            status, answer, extra = plane.answer(Call(self.command, parts.path, parse_qs(parts.query), headers, body))
            data = (
                answer.encode() if isinstance(answer, str) else b"" if answer is None else json.dumps(answer).encode()
            )
            self.send_response_only(status)
            self.send_header("Date", extra.pop("Date", self.date_time_string()))
            for name, value in {**extra, "Content-Length": str(len(data))}.items():
                self.send_header(name, value)
            self.end_headers()
            with contextlib.suppress(ConnectionError):  # the command need not wait for every answer
                self.wfile.write(data)

        do_GET = do_PUT = do_POST = do_PATCH = do_DELETE = handle_any

        def log_message(self, format: str, *args: object) -> None: ...

    return Handler
