"""Entra groups as the directory of who may use a project's GPUs: for desktops that are not Dev Boxes.

Microsoft Graph is asked which of the groups in the settings a user is in, nested ones included. The app's identity
needs the application permissions User.ReadBasic.All and GroupMember.Read.All.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from azure.core import PipelineClient
from azure.core.credentials import TokenCredential
from azure.core.exceptions import AzureError
from azure.core.rest import HttpRequest

from shared.domain.names import ProjectId, UserId
from shared.ports.credentials import token_policy
from shared.ports.entitlement import CACHED_S, EntitlementUnknown
from shared.ports.recent_answers import RecentAnswers

SCOPE = "https://graph.microsoft.com/.default"
MOST_GROUPS_A_QUESTION = 20


class ProjectGroups(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The object ids of a project's groups: who may use its GPUs, and who administers it."""

    members: str
    administrators: str | None = None


class _Found(msgspec.Struct, frozen=True):
    value: list[str]


class GroupEntitlement:
    """A member of a project is who is in its group. One question tells all projects of a user."""

    def __init__(
        self, *, endpoint: str, credential: TokenCredential, groups: Mapping[ProjectId, ProjectGroups]
    ) -> None:
        self._client: PipelineClient[Any, Any] = PipelineClient(
            endpoint, policies=[token_policy(credential, endpoint, SCOPE)]
        )
        self._endpoint = endpoint
        self._trouble: str | None = None
        self._groups = groups
        named = [group for project in groups.values() for group in (project.members, project.administrators) if group]
        self._named = list(dict.fromkeys(named))
        self._answers: RecentAnswers[UserId, frozenset[str]] = RecentAnswers(
            fresh_s=CACHED_S, usable_s=CACHED_S, again_s=0, unknown=EntitlementUnknown
        )

    @property
    def trouble(self) -> str | None:
        return self._trouble

    def is_member(self, project: ProjectId, user: UserId) -> bool:
        groups = self._groups.get(project)
        return groups is not None and groups.members in self._groups_of(user)

    def is_administrator(self, project: ProjectId, user: UserId) -> bool:
        groups = self._groups.get(project)
        return groups is not None and groups.administrators in self._groups_of(user)

    def projects_of(self, user: UserId) -> list[ProjectId]:
        mine = self._groups_of(user)
        return sorted(project for project, groups in self._groups.items() if groups.members in mine)

    def all_projects(self) -> list[ProjectId]:
        return sorted(self._groups)

    def _groups_of(self, user: UserId) -> frozenset[str]:
        """Return which of the named groups the user is in."""

        def ask() -> frozenset[str]:
            batches = range(0, len(self._named), MOST_GROUPS_A_QUESTION)
            return frozenset().union(
                *(self._ask(user, self._named[at : at + MOST_GROUPS_A_QUESTION]) for at in batches)
            )

        return self._answers.recall(user, ask)

    def _ask(self, user: UserId, groups: list[str]) -> frozenset[str]:
        """Return which of these groups the user is in; a user whom the directory does not know is in none."""
        url = f"{self._endpoint}/v1.0/users/{user}/checkMemberGroups"
        request = HttpRequest("POST", url, json={"groupIds": groups})
        try:
            answer = self._client.send_request(request, connection_timeout=3, read_timeout=5)
            if answer.status_code == 404 and _says_no_such_user(answer.json()):
                return frozenset()
            answer.raise_for_status()
            found = msgspec.json.decode(answer.content, type=_Found)
        except (AzureError, ValueError) as error:  # msgspec's errors are ValueErrors
            self._trouble = f"Microsoft Graph did not answer: {error}"
            raise EntitlementUnknown(self._trouble) from error
        self._trouble = None
        return frozenset(group.lower() for group in found.value) & frozenset(groups)


def _says_no_such_user(told: Any) -> bool:
    """Tell a missing user from a missing address, which says nothing about anybody."""
    error = told.get("error") if isinstance(told, dict) else None
    return isinstance(error, dict) and error.get("code") == "Request_ResourceNotFound"
