"""Dev Center as the directory of who may use a project's GPUs (azure.md 6.5), with who administers it (6.6)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from azure.core.credentials import TokenCredential

from shared.domain.names import ProjectId, UserId
from shared.ports.arm_client import SCOPE as ARM_SCOPE
from shared.ports.entitlement import CACHED_S, EntitlementUnknown, project_ids
from shared.ports.listed_pages import ListedPages
from shared.ports.recent_answers import RecentAnswers

SCOPE = "https://devcenter.azure.com/.default"
API_VERSION = "2023-04-01"
ASSIGNMENTS_API_VERSION = "2022-04-01"
USABLE = frozenset({"Succeeded", "ProvisionedWithWarning"})
PROJECT_ADMIN, DEV_CENTER_OWNER = "331c37c6-af14-46d9-b9f4-e1909e1b95a0", "4c6569b6-f23e-4295-9b90-bd4cc4ff3292"


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmProjects:
    """Where the Dev Center projects lie in Azure Resource Manager, whose role assignments make administrators."""

    endpoint: str
    subscription_id: str
    resource_group: str

    def assignments(self, project: ProjectId, user: UserId) -> str:
        """Return the list of a user's role assignments at and above the project, the user's groups' included."""
        group = f"/subscriptions/{self.subscription_id}/resourceGroups/{self.resource_group}"
        place = f"{group}/providers/Microsoft.DevCenter/projects/{project}/providers/Microsoft.Authorization"
        asked = quote(f"atScope() and assignedTo('{user}')")
        return f"{place}/roleAssignments?api-version={ASSIGNMENTS_API_VERSION}&$filter={asked}"


class DevCenterEntitlement:
    """A member of a project is who has a usable Dev Box in it; an administrator, who has Dev Center's role for that.

    Without `projects` nobody administers by a role in Azure: the app roles are left.
    """

    def __init__(self, *, endpoint: str, credential: TokenCredential, projects: ArmProjects | None = None) -> None:
        self._boxes = ListedPages(service="Dev Center", endpoint=endpoint, credential=credential, scope=SCOPE)
        self._arm_projects = projects
        self._arm = self._boxes
        if projects is not None:
            self._arm = ListedPages(
                service="Azure Resource Manager", endpoint=projects.endpoint, credential=credential, scope=ARM_SCOPE
            )
        self._answers: RecentAnswers[tuple[str, ProjectId, UserId], bool] = RecentAnswers(
            fresh_s=CACHED_S, usable_s=CACHED_S, again_s=0, unknown=EntitlementUnknown
        )
        self._projects: RecentAnswers[UserId | None, list[ProjectId]] = RecentAnswers(
            fresh_s=CACHED_S, usable_s=CACHED_S, again_s=0, unknown=EntitlementUnknown
        )

    @property
    def trouble(self) -> str | None:
        return self._boxes.trouble or self._arm.trouble

    def is_member(self, project: ProjectId, user: UserId) -> bool:
        def ask() -> bool:
            return any(map(_is_usable, self._list(f"/projects/{project}/users/{user}/devboxes")))

        return self._answers.recall(("box", project, user), ask)

    def is_administrator(self, project: ProjectId, user: UserId) -> bool:
        projects = self._arm_projects
        if projects is None:
            return False

        def ask() -> bool:
            return any(map(_administers, self._arm.entries(projects.assignments(project, user))))

        return self._answers.recall(("admin", project, user), ask)

    def projects_of(self, user: UserId) -> list[ProjectId]:
        def ask() -> list[ProjectId]:
            return project_ids(
                box.get("projectName") for box in self._list(f"/users/{user}/devboxes") if _is_usable(box)
            )

        return list(self._projects.recall(user, ask))

    def all_projects(self) -> list[ProjectId]:
        return list(
            self._projects.recall(None, lambda: project_ids(entry.get("name") for entry in self._list("/projects")))
        )

    def _list(self, path: str) -> list[dict[str, Any]]:
        return self._boxes.entries(f"{path}?api-version={API_VERSION}")


def _is_usable(box: dict[str, Any]) -> bool:
    return box.get("provisioningState") in USABLE


def _administers(assignment: dict[str, Any]) -> bool:
    """Tell whether a role assignment makes an administrator. One under a condition does not: it is not read here."""
    told = assignment.get("properties")
    if not isinstance(told, dict) or told.get("condition"):
        return False
    role = str(told.get("roleDefinitionId")).lower().rpartition("/")[2]
    return role in (PROJECT_ADMIN, DEV_CENTER_OWNER)
