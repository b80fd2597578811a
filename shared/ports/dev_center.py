"""Dev Center's data plane as the directory of who may use a project's GPUs (azure.md 6.5)."""

from __future__ import annotations

from typing import Any

from azure.core import PipelineClient
from azure.core.credentials import TokenCredential
from azure.core.exceptions import AzureError
from azure.core.rest import HttpRequest

from shared.domain.names import ProjectId, UserId
from shared.ports.credentials import token_policy
from shared.ports.entitlement import CACHED_S, EntitlementUnknown, project_ids
from shared.ports.recent_answers import RecentAnswers

SCOPE = "https://devcenter.azure.com/.default"
API_VERSION = "2023-04-01"
USABLE = frozenset({"Succeeded", "ProvisionedWithWarning"})


class DevCenterEntitlement:
    """A member of a project is who has a usable Dev Box in it: Dev Center is asked for the user's own list."""

    def __init__(self, *, endpoint: str, credential: TokenCredential) -> None:
        self._client: PipelineClient[Any, Any] = PipelineClient(
            endpoint, policies=[token_policy(credential, endpoint, SCOPE)]
        )
        self._endpoint = endpoint
        self._trouble: str | None = None
        self._answers: RecentAnswers[tuple[str, ProjectId, UserId], bool] = RecentAnswers(
            fresh_s=CACHED_S, usable_s=CACHED_S, again_s=0, unknown=EntitlementUnknown
        )
        self._projects: RecentAnswers[UserId | None, list[ProjectId]] = RecentAnswers(
            fresh_s=CACHED_S, usable_s=CACHED_S, again_s=0, unknown=EntitlementUnknown
        )

    @property
    def trouble(self) -> str | None:
        return self._trouble

    def is_member(self, project: ProjectId, user: UserId) -> bool:
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
            return project_ids(box.get("projectName") for box in boxes if box.get("provisioningState") in USABLE)

        return list(self._projects.recall(user, ask))

    def all_projects(self) -> list[ProjectId]:
        return list(
            self._projects.recall(None, lambda: project_ids(entry.get("name") for entry in self._list("/projects")))
        )

    def _list(self, path: str) -> list[dict[str, Any]]:
        """Return all pages of a list; of what is absent it is empty, any other failure is unknown."""
        url, found = f"{self._endpoint}{path}?api-version={API_VERSION}", list[dict[str, Any]]()
        try:
            while url:
                page = self._page(url, absent_is_empty=not found)
                found += page.get("value", [])
                url = page.get("nextLink") or ""
                if url and not url.startswith(f"{self._endpoint}/"):
                    raise EntitlementUnknown("Dev Center's next page lies at another address")
        except EntitlementUnknown as failure:
            self._trouble = str(failure)
            raise
        self._trouble = None
        return found

    def _page(self, url: str, *, absent_is_empty: bool) -> dict[str, Any]:
        """Return a page, empty where there is nothing at its address; a page that was promised must be there."""
        try:
            answer = self._client.send_request(HttpRequest("GET", url), connection_timeout=3, read_timeout=5)
            if answer.status_code == 404 and absent_is_empty:
                return {}
            answer.raise_for_status()
            return _checked(answer.json())
        except (AzureError, ValueError) as error:
            raise EntitlementUnknown(f"Dev Center did not answer: {error}") from error


def _checked(page: Any) -> dict[str, Any]:
    """Return the page if it is one; raise ValueError."""
    told = page if isinstance(page, dict) else {}
    entries, following = told.get("value"), told.get("nextLink")
    is_list = isinstance(entries, list) and all(isinstance(entry, dict) for entry in entries)
    if not is_list or not isinstance(following, str | None):
        raise ValueError("the answer is no page of a list")
    return told
