"""The made-up people as callers of the API, and the shells that they open."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import count
from typing import Any
from urllib.parse import urlencode

from tests.e2e.http_calls import Answer, NobodyAnswered, send
from tests.e2e.waiting import until

API_VERSION = "2026-12-01-preview"
_numbers = count(1)


def new_shell_id() -> str:
    return f"shell-{next(_numbers):06d}"


@dataclass(frozen=True)
class Person:
    """Somebody with an access token, calling one control plane."""

    name: str
    api: str
    token: str | None
    project: str = "demo"

    def call(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        headers: Mapping[str, str] | None = None,
        query: Mapping[str, str] | None = None,
        version: str | None = API_VERSION,
    ) -> Answer:
        """Call the API below `projects/{project}`, or at `/...`; `version` None leaves the parameter out."""
        params = {**({"api-version": version} if version else {}), **(query or {})}
        place = path if path.startswith("/") else f"/projects/{self.project}/{path}".rstrip("/")
        url = f"{self.api}{place}?{urlencode(params)}"
        signed = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        return send(method, url, body, {**signed, **(headers or {})})

    def persistently(self, method: str, path: str, body: object = None, **more: Any) -> Answer:
        """Call again while nobody answers or the service is out of order, as a client does that must get through."""

        def attempt() -> Answer | None:
            try:
                answer = self.call(method, path, body, **more)
            except NobodyAnswered:
                return None
            return None if answer.status >= 500 else answer

        return until(attempt, f"an answer to {method} {path}")

    def open(self, shell_id: str | None = None, **body: object) -> Shell:
        """Open a shell, however often it takes: the id makes repetition harmless."""
        shell_id = shell_id or new_shell_id()
        answer = self.persistently("PUT", f"users/me/shells/{shell_id}", body)
        assert answer.status in (200, 201), answer.text
        return Shell(self, shell_id, answer.json["session"])

    def opened(self, **body: object) -> Shell:
        """Open a shell and wait until its session runs."""
        shell = self.open(**body)
        shell.until_state("Running")
        return shell

    def waits(self, **body: object) -> Shell:
        """Open a shell that stands in line."""
        shell = self.open(wait=True, **body)
        assert shell.view()["state"] == "Waiting"
        return shell

    def reads(self, path: str, **query: str) -> Any:
        """Return what is there to read, which must be something."""
        answer = self.persistently("GET", path, query=query)
        assert answer.status == 200, answer.text
        return answer.json

    def sessions(self, **query: str) -> list[dict[str, Any]]:
        value: list[dict[str, Any]] = self.reads("sessions", **query)["value"]
        return value


@dataclass(frozen=True)
class Shell:
    """One shell and its session, as its owner sees them."""

    owner: Person
    id: str
    session: str

    @property
    def path(self) -> str:
        return f"users/me/shells/{self.id}"

    @property
    def app(self) -> str:
        return f"dbg-{self.session}"

    def view(self) -> dict[str, Any]:
        view: dict[str, Any] = self.owner.reads(self.path)
        return view

    def close(self) -> Answer:
        return self.owner.persistently("DELETE", self.path)

    def stop(self, by: Person | None = None, **body: object) -> Answer:
        return (by or self.owner).persistently("POST", f"sessions/{self.session}/stop", body or None)

    def renew(self, active_seconds_ago: float = 0.0) -> Answer:
        return self.owner.persistently("POST", f"{self.path}/renewLease", {"activeSecondsAgo": active_seconds_ago})

    def connect(self) -> Answer:
        return self.owner.persistently("POST", f"{self.path}/connect")

    def operation(self, kind: str = "open") -> dict[str, Any]:
        view: dict[str, Any] = self.owner.reads(f"operations/{kind}-{self.session}")
        return view

    def explained(self) -> dict[str, Any]:
        """Return why the session is as it is."""
        explanation: dict[str, Any] = self.owner.reads(f"sessions/{self.session}/explain")
        return explanation

    def until_state(self, *states: str, meanwhile: Callable[[], object] = lambda: None) -> dict[str, Any]:
        """Wait for one of the states, doing something between looks; an ended session ends the wait too."""

        def look() -> dict[str, Any] | None:
            meanwhile()
            view = self.view()
            return view if view["state"] in (*states, "Ended") else None

        view = until(look, f"{self.session} to be {' or '.join(states)}")
        assert view["state"] in states, view
        return view

    def ended(self, reason: str, meanwhile: Callable[[], object] = lambda: None) -> dict[str, Any]:
        """Wait for the end and hold it to its reason."""
        view = self.until_state("Ended", meanwhile=meanwhile)
        assert view["endReason"] == reason, view
        return view
