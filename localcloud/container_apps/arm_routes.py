"""The table of ARM addresses, matched without regard to case as Resource Manager does."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from localcloud.container_apps.errors import ArmError


class Verb(StrEnum):
    """What is asked, one name for each method and address."""

    APP_GET = "app_get"
    APP_PUT = "app_put"
    APP_PATCH = "app_patch"
    APP_DELETE = "app_delete"
    APP_START = "app_start"
    APP_STOP = "app_stop"
    APP_TOKEN = "app_token"  # noqa: S105  # the name of an operation
    APPS_IN_GROUP = "apps_in_group"
    APPS = "apps"
    REVISIONS = "revisions"
    REVISION_GET = "revision_get"
    REVISION_ACTIVATE = "revision_activate"
    REVISION_DEACTIVATE = "revision_deactivate"
    REPLICAS = "replicas"
    REPLICA_GET = "replica_get"
    ENVIRONMENTS_IN_GROUP = "environments_in_group"
    ENVIRONMENTS = "environments"
    ENVIRONMENT_GET = "environment_get"
    ENVIRONMENT_USAGES = "environment_usages"
    ENVIRONMENT_PROFILES = "environment_profiles"
    LOCATION_USAGES = "location_usages"
    LOCATION_PROFILES = "location_profiles"
    OPERATION_STATUS = "operation_status"
    OPERATION_RESULT = "operation_result"


_SUBSCRIPTION = "/subscriptions/{subscription}"
_PROVIDER = _SUBSCRIPTION + "/providers/Microsoft.App"
_GROUP = _SUBSCRIPTION + "/resourceGroups/{group}/providers/Microsoft.App"
_APP = _GROUP + "/containerApps/{app}"
_REVISION = _APP + "/revisions/{revision}"
_ENVIRONMENT = _GROUP + "/managedEnvironments/{environment}"
_LOCATION = _PROVIDER + "/locations/{location}"

_TABLE = (
    ("GET", _APP, Verb.APP_GET),
    ("PUT", _APP, Verb.APP_PUT),
    ("PATCH", _APP, Verb.APP_PATCH),
    ("DELETE", _APP, Verb.APP_DELETE),
    ("POST", _APP + "/start", Verb.APP_START),
    ("POST", _APP + "/stop", Verb.APP_STOP),
    ("POST", _APP + "/getAuthToken", Verb.APP_TOKEN),
    ("GET", _GROUP + "/containerApps", Verb.APPS_IN_GROUP),
    ("GET", _PROVIDER + "/containerApps", Verb.APPS),
    ("GET", _APP + "/revisions", Verb.REVISIONS),
    ("GET", _REVISION, Verb.REVISION_GET),
    ("POST", _REVISION + "/activate", Verb.REVISION_ACTIVATE),
    ("POST", _REVISION + "/deactivate", Verb.REVISION_DEACTIVATE),
    ("GET", _REVISION + "/replicas", Verb.REPLICAS),
    ("GET", _REVISION + "/replicas/{replica}", Verb.REPLICA_GET),
    ("GET", _GROUP + "/managedEnvironments", Verb.ENVIRONMENTS_IN_GROUP),
    ("GET", _PROVIDER + "/managedEnvironments", Verb.ENVIRONMENTS),
    ("GET", _ENVIRONMENT, Verb.ENVIRONMENT_GET),
    ("GET", _ENVIRONMENT + "/usages", Verb.ENVIRONMENT_USAGES),
    ("GET", _ENVIRONMENT + "/workloadProfileStates", Verb.ENVIRONMENT_PROFILES),
    ("GET", _LOCATION + "/usages", Verb.LOCATION_USAGES),
    ("GET", _LOCATION + "/availableManagedEnvironmentsWorkloadProfileTypes", Verb.LOCATION_PROFILES),
    ("GET", _LOCATION + "/containerappOperationStatuses/{operation}", Verb.OPERATION_STATUS),
    ("GET", _LOCATION + "/containerappOperationResults/{operation}", Verb.OPERATION_RESULT),
)


def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", pattern.replace(".", r"\.")) + "/?", re.IGNORECASE)


_ROUTES = tuple((method, _compiled(pattern), verb) for method, pattern, verb in _TABLE)


@dataclass(frozen=True, slots=True)
class Address:
    """A matched address: what is asked, and the names in the path as they were written."""

    verb: Verb
    names: dict[str, str]

    @property
    def app(self) -> str | None:
        name = self.names.get("app")
        return None if name is None else name.lower()


def find(method: str, path: str) -> Address:
    """Match a request; raises ArmError 404 for an unknown address, 405 for a known one with another method."""
    others: list[str] = []
    for route_method, pattern, verb in _ROUTES:
        match = pattern.fullmatch(path)
        if match is not None and route_method == method:
            return Address(verb, match.groupdict())
        if match is not None:
            others.append(route_method)
    if others:
        raise ArmError(405, "MethodNotAllowed", f"{method} is not possible here.", headers={"Allow": ", ".join(others)})
    raise ArmError(
        404,
        "InvalidResourceType",
        f"The local cloud has nothing at '{path}': it serves container apps and environments.",
    )
