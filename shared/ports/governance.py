"""What Dev Center's own settings and policies allow a project, asked of Azure Resource Manager (azure.md 6.1, 6.2)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from azure.core import PipelineClient
from azure.core.credentials import TokenCredential
from azure.core.exceptions import AzureError
from azure.core.rest import HttpRequest, HttpResponse

from shared.domain.governance import Governance
from shared.domain.names import ProjectId
from shared.domain.settings import Mode
from shared.ports.arm_client import SCOPE
from shared.ports.credentials import token_policy
from shared.ports.recent_answers import RecentAnswers

API_VERSION = "2026-01-01-preview"
"""No stable version has the GPU settings yet."""
FRESH_S = 120.0
USABLE_S = 3600.0
ASKED_AGAIN_S = 15.0
_SETTINGS = "serverlessGpuSessionsSettings"
_CAP = "maxConcurrentSessionsPerProject"
_MODES = {"disabled": Mode.DISABLED, "enabled": Mode.AUTO_DEPLOY, "autodeploy": Mode.AUTO_DEPLOY}


class GovernanceUnknown(Exception):
    """Dev Center could not be asked, and what it said before is too old. Nothing follows from it: never "no bounds"."""


class DevCenterGovernance(Protocol):
    """The bounds that Dev Center sets."""

    def bounds(self, project: ProjectId) -> Governance:
        """Return the project's bounds, at most 2 minutes old where Dev Center answers, else at most an hour.

        A project that Dev Center does not know has none. Raise GovernanceUnknown where it cannot be asked.
        """


class NoGovernance:
    """Dev Center is not asked: no project has bounds."""

    def bounds(self, project: ProjectId) -> Governance:
        return Governance()


class ArmGovernance:
    """The projects of one resource group. A failed question is not repeated for 15 seconds."""

    def __init__(
        self, *, credential: TokenCredential, endpoint: str, subscription_id: str, resource_group: str
    ) -> None:
        base = endpoint.rstrip("/")
        self._client: PipelineClient[Any, Any] = PipelineClient(base, policies=[token_policy(credential, base, SCOPE)])
        group = f"/subscriptions/{subscription_id}/resourceGroups/{resource_group}"
        self._projects = f"{base}{group}/providers/Microsoft.DevCenter/projects"
        self._bounds: RecentAnswers[ProjectId, Governance] = RecentAnswers(
            fresh_s=FRESH_S, usable_s=USABLE_S, again_s=ASKED_AGAIN_S, unknown=GovernanceUnknown
        )

    def bounds(self, project: ProjectId) -> Governance:
        return self._bounds.recall(project, lambda: self._ask(project))

    def _ask(self, project: ProjectId) -> Governance:
        own = self._answer("GET", project)
        if own is None:
            return Governance()
        inherited = self._answer("POST", f"{project}/getInheritedSettings")
        return governance_of(own, inherited) if inherited is not None else Governance()

    def _answer(self, method: str, place: str) -> Any:
        """Return the answer's JSON, None where there is no such project; raise GovernanceUnknown for all else."""
        request = HttpRequest(method, f"{self._projects}/{place}?api-version={API_VERSION}")
        try:
            answer = self._client.send_request(request, connection_timeout=3, read_timeout=5)
            if answer.status_code == 404 and _says_no_such_project(answer):
                return None
            answer.raise_for_status()
            return answer.json()
        except (AzureError, ValueError) as error:
            raise GovernanceUnknown(f"Dev Center did not answer: {error}") from error


def governance_of(project: object, inherited: object) -> Governance:
    """Return the bounds in a project and in the settings that it inherits; what is not understood sets no bound.

    Where a policy says NotModifiable its default holds, elsewhere the project's own value.
    """
    own = _object(_object(project, "properties"), _SETTINGS)
    policy = _object(inherited, _SETTINGS)
    mode_locked, cap_locked = _is_locked(policy, "statusModifiable"), _is_locked(policy, "valuesModifiable")
    own_mode, own_cap = _mode(own.get("serverlessGpuSessionsMode")), _cap(own.get(_CAP))
    ruled_mode = _mode(policy.get("defaultStatus")) if mode_locked else None
    ruled_cap = _default_cap(policy) if cap_locked else None
    return Governance(
        mode=own_mode if ruled_mode is None else ruled_mode,
        max_concurrent=own_cap if ruled_cap is None else ruled_cap,
        mode_locked=mode_locked,
        cap_locked=cap_locked,
    )


def _says_no_such_project(answer: HttpResponse) -> bool:
    """Tell a missing project from a wrong address: a missing resource group says nothing about its projects."""
    return str(_object(answer.json(), "error").get("code")) in ("ResourceNotFound", "NotFound")


def _object(within: object, name: str) -> Mapping[str, Any]:
    found = within.get(name) if isinstance(within, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def _is_locked(policy: Mapping[str, Any], which: str) -> bool:
    return str(policy.get(which)).lower() == "notmodifiable"


def _mode(value: object) -> Mode | None:
    return _MODES.get(str(value).strip().lower())


def _default_cap(policy: Mapping[str, Any]) -> int | None:
    defaults = policy.get("defaultValues")
    for entry in defaults if isinstance(defaults, list) else []:
        if isinstance(entry, Mapping) and str(entry.get("name")).lower() == _CAP.lower():
            return _cap(entry.get("value"))
    return None


def _cap(value: object) -> int | None:
    """Return a cap, which is 1 or more in Dev Center and may come as text; anything else is none."""
    try:
        number = float(str(value))
    except ValueError:
        return None
    return int(number) if number >= 1 and number.is_integer() else None
