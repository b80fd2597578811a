"""Who may use a project's GPUs, and who administers it: a port small enough for any directory of desktops.

`dev_center.py` asks Dev Center's data plane; `entra_groups.py` asks for the members of Entra groups instead.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from shared.domain.names import ProjectId, UserId, project_id

CACHED_S = 120.0
"""How long an answer is believed. A right that is taken away holds for so long for new sessions."""


class EntitlementUnknown(Exception):
    """The directory could not be asked. New sessions fail closed; running ones go on."""


class Entitlement(Protocol):
    """The directory of who belongs where.

    Answers are remembered for minutes, failures are not. Every question raises EntitlementUnknown where it is not
    answered: never a no.
    """

    @property
    def trouble(self) -> str | None:
        """Return why the last question was not answered, None where it was."""

    def is_member(self, project: ProjectId, user: UserId) -> bool:
        """Tell whether the user may use the project's GPUs: has a usable Dev Box there."""

    def is_administrator(self, project: ProjectId, user: UserId) -> bool:
        """Tell whether the user administers the project."""

    def projects_of(self, user: UserId) -> list[ProjectId]:
        """Return the projects of which the user is a member, in order of name."""

    def all_projects(self) -> list[ProjectId]:
        """Return all projects, in order of name. Those whose names cannot be ours are left out, here and above."""


def project_ids(names: Iterable[object]) -> list[ProjectId]:
    """Return the names that can be projects of ours, each once, in order."""
    found = (project_id(name) for name in names if isinstance(name, str))
    return sorted({project for project in found if project is not None})
