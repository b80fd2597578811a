"""Who may use a project's GPUs, and who administers it: asked of Dev Center, behind a port small enough for others."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

from azure.core import PipelineClient
from azure.core.credentials import TokenCredential
from azure.core.exceptions import AzureError
from azure.core.rest import HttpRequest

from shared.domain.names import ProjectId, UserId, project_id
from shared.ports.credentials import token_policy
from shared.ports.recent_answers import RecentAnswers

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

    def projects_of(self, user: UserId) -> list[ProjectId]:
        """Return the projects in which the user has a usable Dev Box, in order of name."""

    def all_projects(self) -> list[ProjectId]:
        """Return all projects, in order of name. Those whose names cannot be ours are left out, here and above."""


class DevCenterEntitlement:
    """Dev Center's data plane (azure.md 6.5). Answers are remembered for two minutes; failures are not.

    Every question raises EntitlementUnknown where it is not answered.
    """

    def __init__(self, *, endpoint: str, credential: TokenCredential) -> None:
        self._client: PipelineClient[Any, Any] = PipelineClient(
            endpoint, policies=[token_policy(credential, endpoint, SCOPE)]
        )
        self._endpoint = endpoint
        self._answers: RecentAnswers[tuple[str, ProjectId, UserId], bool] = RecentAnswers(
            fresh_s=CACHED_S, usable_s=CACHED_S, again_s=0, unknown=EntitlementUnknown
        )
        self._projects: RecentAnswers[UserId | None, list[ProjectId]] = RecentAnswers(
            fresh_s=CACHED_S, usable_s=CACHED_S, again_s=0, unknown=EntitlementUnknown
        )

    def has_dev_box(self, project: ProjectId, user: UserId) -> bool:
        def ask() -> bool:
            boxes = self._list(f"/projects/{project}/users/{user}/devboxes")
            return any(box.get("provisioningState") in USABLE for box in boxes)

        return self._answers.recall(("box", project, user), ask)

    def is_administrator(self, project: ProjectId, user: UserId) -> bool:
        def ask() -> bool:
            return any(entry.get("user") == user for entry in self._list(f"/projects/{project}/administrators"))

        return self._answers.recall(("admin", project, user), ask)

    def projects_of(self, user: UserId) -> list[ProjectId]:
        def ask() -> list[ProjectId]:
            boxes = self._list(f"/users/{user}/devboxes")
            return _project_ids(box.get("projectName") for box in boxes if box.get("provisioningState") in USABLE)

        return list(self._projects.recall(user, ask))

    def all_projects(self) -> list[ProjectId]:
        return list(
            self._projects.recall(None, lambda: _project_ids(entry.get("name") for entry in self._list("/projects")))
        )

    def _list(self, path: str) -> list[dict[str, Any]]:
        """Return all pages of a list; of what is absent it is empty, any other failure is unknown."""
        url, found = f"{self._endpoint}{path}?api-version={API_VERSION}", list[dict[str, Any]]()
        while url:
            try:
                answer = self._client.send_request(HttpRequest("GET", url), connection_timeout=3, read_timeout=5)
                if answer.status_code == 404:
                    return []
                answer.raise_for_status()
                page = answer.json()
                found += page["value"]
            except (AzureError, ValueError, KeyError, TypeError) as error:
                raise EntitlementUnknown(f"Dev Center did not answer: {error}") from error
            url = page.get("nextLink") or ""
            if url and not url.startswith(f"{self._endpoint}/"):
                raise EntitlementUnknown("Dev Center's next page lies at another address")
        return found


def _project_ids(names: Iterable[object]) -> list[ProjectId]:
    found = (project_id(name) for name in names if isinstance(name, str))
    return sorted({project for project in found if project is not None})
