"""What a project's Dev Center allows it at most."""

from __future__ import annotations

from typing import Protocol

from shared.domain.governance import Governance
from shared.domain.names import ProjectId


class GovernanceUnknown(Exception):
    """Dev Center could not be asked what it allows."""


class DevCenterGovernance(Protocol):
    def bounds(self, project: ProjectId) -> Governance:
        """Return what Dev Center allows the project; raise GovernanceUnknown where it does not answer."""


class NoGovernance:
    """A platform without Dev Center's project settings: nothing bounds a project but the platform itself."""

    def bounds(self, project: ProjectId) -> Governance:
        return Governance()
