"""The operations of the control plane that this command uses, each one call."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from devboxgpu.errors import RefusedError
from devboxgpu.tokens import TokenSource
from devboxgpu.transport import Response, Transport
from devboxgpu.wire import ExecAccess, Json, LeaseRenewal, Operation, Problem, Shell, items_of, mapping_of, text_of

API_VERSION = "2026-12-01-preview"
MOST_PAGES = 1000
OPEN_PATIENCE_S = 6.0
"""Short, because a person waits for the first word; once the session is being made, patience is longer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    shell: Shell
    operation: str | None
    """Id of the long operation, when the service gave one."""
    retry_after_s: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Polled:
    operation: Operation
    retry_after_s: float | None


class ControlPlane:
    """Blocking and thread-safe. Raises RefusedError for a "no" and UnreachableError for silence."""

    def __init__(self, transport: Transport, tokens: TokenSource, *, project: str) -> None:
        self._transport = transport
        self._tokens = tokens
        self.project = project

    def open_shell(self, shell: str, body: Json) -> Opened:
        response = self._call("PUT", self._shell_path(shell), body, patience_s=OPEN_PATIENCE_S)
        location = response.headers.get("operation-location")
        operation = urlsplit(location).path.rstrip("/").rpartition("/")[2] if location else None
        return Opened(
            shell=Shell.read(_object(response)), operation=operation or None, retry_after_s=response.retry_after_s()
        )

    def get_shell(self, shell: str, *, patience_s: float = 10) -> Shell:
        return Shell.read(_object(self._call("GET", self._shell_path(shell), patience_s=patience_s)))

    def close_shell(self, shell: str) -> Shell | None:
        """Ends the shell; None when the service no longer knows it. A second call does no harm."""
        response = self._call("DELETE", self._shell_path(shell), patience_s=10)
        data = response.json()
        return Shell.read(data) if isinstance(data, dict) and "id" in data else None

    def connect_shell(self, shell: str) -> ExecAccess:
        return ExecAccess.read(_object(self._call("POST", self._shell_path(shell) + "/connect", patience_s=5)))

    def renew_lease(self, shell: str, *, active_seconds_ago: int) -> LeaseRenewal:
        body = {"activeSecondsAgo": active_seconds_ago}
        return LeaseRenewal.read(
            _object(self._call("POST", self._shell_path(shell) + "/renewLease", body, patience_s=5))
        )

    def get_operation(self, operation: str) -> Polled:
        response = self._call("GET", f"{self._project_path()}/operations/{_segment(operation)}", patience_s=30)
        return Polled(operation=Operation.read(_object(response)), retry_after_s=response.retry_after_s())

    def list_sessions(self, filters: Mapping[str, str]) -> list[Json]:
        return list(self._pages(f"{self._project_path()}/sessions", filters))

    def get_session(self, session: str) -> Json:
        return _object(self._call("GET", self._session_path(session)))

    def stop_session(self, session: str, reason: str | None) -> Json:
        body = {"reason": reason} if reason else {}
        return _object(self._call("POST", self._session_path(session) + "/stop", body))

    def list_offers(self) -> list[Json]:
        return list(self._pages(f"{self._project_path()}/offers", {}))

    def _pages(self, path: str, query: Mapping[str, str]) -> Iterator[Json]:
        for _ in range(MOST_PAGES):
            page = _object(self._call("GET", path, query=query))
            yield from items_of(page, "value")
            next_link = text_of(page, "nextLink")
            if next_link is None:
                return
            # Only the link's query is taken: the token goes to the configured service and nowhere else.
            query = {name: value for name, value in parse_qsl(urlsplit(next_link).query) if name != "api-version"}
        raise RefusedError(f"the list does not end after {MOST_PAGES} pages", code="BadAnswer")

    def _call(
        self,
        method: str,
        path: str,
        body: Json | None = None,
        *,
        query: Mapping[str, str] | None = None,
        patience_s: float = 5.0,
    ) -> Response:
        content = None if body is None else json.dumps(body).encode()
        target = f"{path}?{urlencode({'api-version': API_VERSION, **(query or {})})}"
        response = self._send(method, target, content, patience_s)
        if response.status == 401 and self._tokens.forget():
            response = self._send(method, target, content, patience_s)
        if not 200 <= response.status < 300:
            raise _refusal(response)
        return response

    def _send(self, method: str, target: str, content: bytes | None, patience_s: float) -> Response:
        headers = {"Authorization": f"Bearer {self._tokens.token()}"}
        if content is not None:
            headers["Content-Type"] = "application/json"
        return self._transport.send(method, target, headers=headers, body=content, patience_s=patience_s)

    def _project_path(self) -> str:
        return f"/projects/{_segment(self.project)}"

    def _shell_path(self, shell: str) -> str:
        return f"{self._project_path()}/users/me/shells/{_segment(shell)}"

    def _session_path(self, session: str) -> str:
        return f"{self._project_path()}/sessions/{_segment(session)}"


def _segment(text: str) -> str:
    return quote(text, safe="")


def _object(response: Response) -> Json:
    data = response.json()
    if not isinstance(data, dict):
        raise RefusedError(
            "the answer is not the JSON object expected: is the endpoint right?",
            status=response.status,
            code="BadAnswer",
        )
    return data


def _refusal(response: Response) -> RefusedError:
    data = response.json()
    problem = Problem.read(mapping_of(data, "error")) if isinstance(data, dict) else None
    if problem is None:
        code = response.headers.get("x-ms-error-code") or f"HTTP {response.status}"
        problem = Problem(code=code, message="the service refused without saying why", details={})
    return RefusedError(
        problem.message,
        status=response.status,
        code=problem.code,
        request_id=response.headers.get("x-ms-request-id", ""),
        details=problem.details,
        retry_after_s=response.retry_after_s(),
    )
