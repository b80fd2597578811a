"""The operations of the control plane that this command uses, each one call."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from devboxgpu.activity import ActivityReport
from devboxgpu.calls import Calls, object_in, segment
from devboxgpu.errors import DevBoxGpuError, RefusedError
from devboxgpu.tokens import TokenSource
from devboxgpu.transport import Response, Transport
from devboxgpu.wire import ExecAccess, Json, LeaseRenewal, Shell
from devboxgpu.wire_opening import Operation

OPEN_PATIENCE_S = 6.0
"""Short, because a person waits for the first word; once the session is being made, patience is longer."""

REPLAY_PATIENCE_S = 20.0
SWEEP_PATIENCE_S = 60.0


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """A project's settings as written, and the tag that a change of exactly these must bring along."""

    value: Json
    etag: str


class ControlPlane:
    """Blocking and thread-safe. Raises RefusedError for a "no" and UnreachableError for silence."""

    def __init__(self, transport: Transport, tokens: TokenSource, *, project: str) -> None:
        self._calls = Calls(transport, tokens)
        self.project = project

    def open_shell(self, shell: str, body: Json) -> Opened:
        response = self._calls.call("PUT", self._shell_path(shell), body, patience_s=OPEN_PATIENCE_S)
        location = response.headers.get("operation-location")
        operation = urlsplit(location).path.rstrip("/").rpartition("/")[2] if location else None
        return Opened(
            shell=Shell.read(object_in(response)), operation=operation or None, retry_after_s=response.retry_after_s()
        )

    def decide_shell(self, shell: str, body: Json) -> Json:
        """What opening this shell would lead to now; nothing is opened."""
        query = {"dryRun": "true"}
        return object_in(
            self._calls.call("PUT", self._shell_path(shell), body, query=query, patience_s=OPEN_PATIENCE_S)
        )

    def get_shell(self, shell: str, *, patience_s: float = 10) -> Shell:
        return Shell.read(object_in(self._calls.call("GET", self._shell_path(shell), patience_s=patience_s)))

    def list_shells(self) -> list[Json]:
        """The caller's shells, newest first."""
        return self._calls.pages(f"{self._project_path()}/users/me/shells", {})

    def close_shell(self, shell: str) -> Shell | None:
        """Ends the shell. A second call does no harm.

        How it stands at last, also where it had ended before; None where that is unknown.
        """
        data = self._calls.call("DELETE", self._shell_path(shell), patience_s=10).json()
        if isinstance(data, dict) and "id" in data:
            return Shell.read(data)
        try:
            return self.get_shell(shell)
        except DevBoxGpuError:
            return None

    def connect_shell(self, shell: str, *, active_seconds_ago: int | None = None) -> ExecAccess:
        """A way in. `active_seconds_ago`: where the client connects again by itself, which is no activity."""
        body = None if active_seconds_ago is None else {"activeSecondsAgo": active_seconds_ago}
        return ExecAccess.read(object_in(self._calls.call("POST", self._shell_path(shell) + "/connect", body)))

    def renew_lease(self, shell: str, report: ActivityReport) -> LeaseRenewal:
        response = self._calls.call("POST", self._shell_path(shell) + "/renewLease", report.body())
        return LeaseRenewal.read(object_in(response), answered_at=response.answered_at())

    def get_operation(self, operation: str) -> Polled:
        path = f"{self._project_path()}/operations/{segment(operation)}"
        response = self._calls.call("GET", path, patience_s=30)
        return Polled(operation=Operation.read(object_in(response)), retry_after_s=response.retry_after_s())

    def list_sessions(self, filters: Mapping[str, str]) -> list[Json]:
        return self._calls.pages(f"{self._project_path()}/sessions", filters)

    def get_session(self, session: str) -> Json:
        return object_in(self._calls.call("GET", self._session_path(session)))

    def explain_session(self, session: str) -> Json:
        return object_in(self._calls.call("GET", self._session_path(session) + "/explain"))

    def extend_session(self, session: str, *, minutes: float) -> Json:
        """The session with its new stop. Asked once and never repeated, because each call extends anew."""
        body = {"minutes": minutes}
        return object_in(self._calls.call("POST", self._session_path(session) + "/extend", body, patience_s=0))

    def stop_session(self, session: str, reason: str | None) -> Json:
        body = {"reason": reason} if reason else {}
        return object_in(self._calls.call("POST", self._session_path(session) + "/stop", body))

    def list_offers(self) -> list[Json]:
        return self._calls.pages(f"{self._project_path()}/offers")

    def list_projects(self) -> list[Json]:
        return self._calls.pages("/projects")

    def get_project(self) -> Json:
        return object_in(self._calls.call("GET", self._project_path()))

    def get_usage(self, query: Mapping[str, str]) -> Json:
        """Sums over the project's usage that the caller may see, up to now."""
        return object_in(self._calls.call("GET", f"{self._project_path()}/usage", query=query, patience_s=30))

    def get_usage_csv(self, query: Mapping[str, str]) -> bytes:
        """The same as CSV, to be handed on as it came."""
        path, csv = f"{self._project_path()}/usage", {**query, "format": "csv"}
        return self._calls.call("GET", path, query=csv, patience_s=30).body

    def reconcile_usage(self, query: Mapping[str, str]) -> Json:
        """Estimated cost beside what Azure has billed, session by session."""
        path = f"{self._project_path()}/usage/reconciliation"
        return object_in(self._calls.call("GET", path, query=query, patience_s=30))

    def list_activity(self, filters: Mapping[str, str], *, limit: int, platform: bool = False) -> list[Json]:
        """The newest changes of the project, or refused attempts that belong to none, at most so many."""
        return self._calls.pages(f"{self._audited(platform=platform)}/activity", filters, limit=limit)

    def verify_activity(self, query: Mapping[str, str], *, platform: bool = False) -> Json:
        """What the seals of the audit say of its entries."""
        path = f"{self._audited(platform=platform)}/activity/verification"
        return object_in(self._calls.call("GET", path, query=query, patience_s=30))

    def get_settings(self) -> Settings:
        return _settings(self._calls.call("GET", self._settings_path()))

    def get_effective_settings(self) -> Json:
        """The settings that hold, where each value comes from, and what a policy locks."""
        return object_in(self._calls.call("GET", self._settings_path(), query={"view": "effective"}))

    def update_settings(self, patch: Json, *, etag: str, query: Mapping[str, str]) -> Json:
        """The settings after the patch, which is taken only if they are still those of the ETag."""
        headers = {"If-Match": etag}
        return object_in(self._calls.call("PATCH", self._settings_path(), patch, query=query, headers=headers))

    def sweep_project(self, *, dry_run: bool) -> Json:
        """What a sweep of the project has found, and repaired unless it was dry."""
        query = {"dryRun": "true"} if dry_run else {}
        return object_in(
            self._calls.call("POST", f"{self._project_path()}/sweep", query=query, patience_s=SWEEP_PATIENCE_S)
        )

    def replay_policy(self, patch: Json, *, days: int) -> Json:
        """What this merge patch of the settings would have made of the demand of the last days; nothing is written."""
        body = {"days": days, "settings": patch}
        return object_in(self._calls.call("POST", f"{self._project_path()}/replay", body, patience_s=REPLAY_PATIENCE_S))

    def _project_path(self) -> str:
        return f"/projects/{segment(self.project)}"

    def _audited(self, *, platform: bool) -> str:
        return "" if platform else self._project_path()

    def _settings_path(self) -> str:
        return f"{self._project_path()}/gpuSettings"

    def _shell_path(self, shell: str) -> str:
        return f"{self._project_path()}/users/me/shells/{segment(shell)}"

    def _session_path(self, session: str) -> str:
        return f"{self._project_path()}/sessions/{segment(session)}"


def _settings(response: Response) -> Settings:
    etag = response.headers.get("etag")
    if not etag:
        raise RefusedError("the settings came without an ETag: is the endpoint right?", code="BadAnswer")
    return Settings(value=object_in(response), etag=etag)
