"""Who may use a project's GPUs, and who administers it: asked of Dev Center, behind a port small enough for others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock
from typing import Any, Protocol

from azure.core import PipelineClient
from azure.core.credentials import TokenCredential
from azure.core.exceptions import AzureError
from azure.core.rest import HttpRequest

from shared.domain.names import ProjectId, UserId
from shared.ports.clock import elapsed_s
from shared.ports.credentials import token_policy

SCOPE = "https://devcenter.azure.com/.default"
API_VERSION = "2023-04-01"
USABLE = frozenset({"Succeeded", "ProvisionedWithWarning"})
CACHED_S = 120.0


class EntitlementUnknown(Exception):
    """The directory of Dev Boxes could not be asked. New sessions fail closed; running ones go on."""


class Entitlement(Protocol):
    """The directory of who belongs where."""

    def has_dev_box(self, project: ProjectId, user: UserId) -> bool:
        """Tell whether the user has a usable Dev Box in the project."""

    def is_administrator(self, project: ProjectId, user: UserId) -> bool:
        """Tell whether the user administers the project."""


@dataclass(frozen=True, slots=True)
class _Remembered:
    answer: bool
    until_s: float


class DevCenterEntitlement:
    """Dev Center's data plane (azure.md 6.5). Answers are remembered for two minutes; failures are not."""

    def __init__(self, *, endpoint: str, credential: TokenCredential) -> None:
        self._client: PipelineClient[Any, Any] = PipelineClient(
            endpoint, policies=[token_policy(credential, endpoint, SCOPE)]
        )
        self._endpoint = endpoint
        self._remembered: dict[tuple[str, ProjectId, UserId], _Remembered] = {}
        self._guard = Lock()

    def has_dev_box(self, project: ProjectId, user: UserId) -> bool:
        def ask() -> bool:
            boxes = self._list(f"/projects/{project}/users/{user}/devboxes")
            return any(box.get("provisioningState") in USABLE for box in boxes)

        return self._recall("box", project, user, ask)

    def is_administrator(self, project: ProjectId, user: UserId) -> bool:
        def ask() -> bool:
            return any(entry.get("user") == user for entry in self._list(f"/projects/{project}/administrators"))

        return self._recall("admin", project, user, ask)

    def _recall(self, what: str, project: ProjectId, user: UserId, ask: Callable[[], bool]) -> bool:
        key = (what, project, user)
        with self._guard:
            known = self._remembered.get(key)
        if known is not None and known.until_s > elapsed_s():
            return known.answer
        answer = ask()
        with self._guard:
            if len(self._remembered) > 50_000:
                self._remembered.clear()
            self._remembered[key] = _Remembered(answer, elapsed_s() + CACHED_S)
        return answer

    def _list(self, path: str) -> list[dict[str, Any]]:
        """Return all pages of a list; an absent project is an empty one, any other failure is unknown."""
        url, found = f"{self._endpoint}{path}?api-version={API_VERSION}", list[dict[str, Any]]()
        while url:
            try:
                answer = self._client.send_request(HttpRequest("GET", url), connection_timeout=3, read_timeout=5)
                if answer.status_code == 404:
                    return []
                answer.raise_for_status()
                page = answer.json()
                found += page["value"]
            except (AzureError, ValueError, KeyError) as error:
                raise EntitlementUnknown(f"Dev Center did not answer: {error}") from error
            url = page.get("nextLink") or ""
            if url and not url.startswith(f"{self._endpoint}/"):
                raise EntitlementUnknown("Dev Center's next page lies at another address")
        return found
