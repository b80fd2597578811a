"""Dev Center projects as Azure Resource Manager shows them: GPU settings, what policies say, who administers them
(azure.md 6.1, 6.2, 6.6).

What they say is set by `PUT /_governance`; like the outage switch it is forgotten when the stand-in ends.
"""

from __future__ import annotations

import json
import re
import uuid
from typing import Any

from aiohttp import web

from localcloud.container_apps.catalog import SUBSCRIPTION
from localcloud.dev_center import catalogue
from localcloud.dev_center.catalogue import Project
from localcloud.identity import people

GOVERNANCE_PATH = "/_governance"
SETTINGS = "serverlessGpuSessionsSettings"
POLICY = "policy"
# The GPU settings are in preview versions alone.
API_VERSIONS = ("2025-04-01-preview", "2025-07-01-preview", "2025-10-01-preview", "2026-01-01-preview")
_PROJECT = "/subscriptions/{subscription}/resourceGroups/{group}/providers/Microsoft.DevCenter/projects/{project}"
_ASSIGNMENTS = "/providers/Microsoft.Authorization/roleAssignments"
ASSIGNMENTS_API_VERSIONS = ("2022-04-01",)
PROJECT_ADMIN = "331c37c6-af14-46d9-b9f4-e1909e1b95a0"
_ASSIGNED_TO = re.compile(r"atScope\(\) and assignedTo\('([0-9a-fA-F-]{36})'\)")
_MEMBERS = {"project", SETTINGS, POLICY}

Json = dict[str, Any]


class ResourceManager:
    """The three addresses below a project, and the handle for what they answer."""

    def __init__(self) -> None:
        self._told: dict[str, Json] = {}

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get(_in_any_case(_PROJECT), self._project),
            web.post(_in_any_case(f"{_PROJECT}/getInheritedSettings"), self._inherited_settings),
            web.get(_in_any_case(f"{_PROJECT}{_ASSIGNMENTS}"), self._role_assignments),
            web.get(GOVERNANCE_PATH, self._show),
            web.put(GOVERNANCE_PATH, self._set),
            web.delete(GOVERNANCE_PATH, self._clear),
        ]

    async def _project(self, request: web.Request) -> web.Response:
        project = _asked_for(request)
        properties: Json = {
            "description": project.description,
            "displayName": project.name,
            "maxDevBoxesPerUser": catalogue.MAX_DEV_BOXES_PER_USER,
            "provisioningState": "Succeeded",
            **_present(SETTINGS, self._told_of(project).get(SETTINGS)),
        }
        body: Json = {
            "id": _PROJECT.format(subscription=SUBSCRIPTION, group=catalogue.RESOURCE_GROUP, project=project.name),
            "name": project.name,
            "type": "Microsoft.DevCenter/projects",
            "location": catalogue.LOCATION,
            "properties": properties,
        }
        return web.json_response(body)

    async def _inherited_settings(self, request: web.Request) -> web.Response:
        told = self._told_of(_asked_for(request))
        return web.json_response({"networkSettings": {}, **_present(SETTINGS, told.get(POLICY))})

    async def _role_assignments(self, request: web.Request) -> web.Response:
        """Answer with a user's assignments at the project: the one filter that is understood here."""
        project = _asked_for(request, ASSIGNMENTS_API_VERSIONS)
        asked = _ASSIGNED_TO.fullmatch(request.query.get("$filter", ""))
        if asked is None:
            message = "The filter is not one that this stand-in knows: atScope() and assignedTo('{object id}')."
            raise _refusal(web.HTTPBadRequest, "UnsupportedQueryStringFilter", message)
        found = [one for one in catalogue.administrators(project.name) if one.object_id == asked[1].lower()]
        return web.json_response({"value": [_assignment(project, one.object_id) for one in found]})

    async def _show(self, _request: web.Request) -> web.Response:
        return web.json_response({name: self._told_of(project) for name, project in catalogue.PROJECTS.items()})

    async def _set(self, request: web.Request) -> web.Response:
        try:
            project, told = _read_governance(await request.json())
        except ValueError as error:
            return web.json_response({"error": {"code": "InvalidGovernance", "message": str(error)}}, status=400)
        self._told[project.name] = told
        return await self._show(request)

    async def _clear(self, request: web.Request) -> web.Response:
        self._told.clear()
        return await self._show(request)

    def _told_of(self, project: Project) -> Json:
        return self._told.get(project.name, {SETTINGS: None, POLICY: None})


def is_resource_manager(path: str) -> bool:
    """Tell whether the path is one of Resource Manager's, which has tokens of its own."""
    return path.lower().startswith("/subscriptions/")


def _in_any_case(path: str) -> str:
    """Return the route that matches the path's fixed words without regard to case, as Resource Manager does."""
    words = enumerate(path.split("/")[1:])
    return "".join(f"/{word}" if word.startswith("{") else f"/{{_{at}:(?i:{re.escape(word)})}}" for at, word in words)


def _assignment(project: Project, principal: str) -> Json:
    scope = _PROJECT.format(subscription=SUBSCRIPTION, group=catalogue.RESOURCE_GROUP, project=project.name)
    role = f"/subscriptions/{SUBSCRIPTION}/providers/Microsoft.Authorization/roleDefinitions/{PROJECT_ADMIN}"
    properties = {"roleDefinitionId": role, "principalId": principal, "principalType": "User", "scope": scope}
    name = str(uuid.uuid5(people.NAMESPACE, f"{principal} administers {project.name}"))
    kind = "Microsoft.Authorization/roleAssignments"
    return {"id": f"{scope}{_ASSIGNMENTS}/{name}", "name": name, "type": kind, "properties": properties}


def _asked_for(request: web.Request, versions: tuple[str, ...] = API_VERSIONS) -> Project:
    """Return the project of the path; raises 400 or 404 under Resource Manager's codes."""
    names = request.match_info
    if request.query["api-version"].lower() not in versions:
        message = f"The supported api-versions are '{', '.join(versions)}'."
        raise _refusal(web.HTTPBadRequest, "NoRegisteredProviderFound", message)
    if names["subscription"].lower() != SUBSCRIPTION:
        raise _refusal(web.HTTPNotFound, "SubscriptionNotFound", f"There is no subscription '{names['subscription']}'.")
    if names["group"].lower() != catalogue.RESOURCE_GROUP:
        raise _refusal(web.HTTPNotFound, "ResourceGroupNotFound", f"There is no resource group '{names['group']}'.")
    project = catalogue.find_project(names["project"])
    if project is None:
        resource = f"Microsoft.DevCenter/projects/{names['project']}"
        raise _refusal(web.HTTPNotFound, "ResourceNotFound", f"The Resource '{resource}' was not found.")
    return project


def _read_governance(wanted: object) -> tuple[Project, Json]:
    """Return what is wanted for which project; an absent member is null. Raises ValueError."""
    if not isinstance(wanted, dict) or set(wanted) - _MEMBERS:
        raise ValueError(f"the body is an object of {', '.join(sorted(_MEMBERS))}")
    project = catalogue.find_project(str(wanted.get("project")))
    if project is None:
        raise ValueError(f"project is one of {', '.join(catalogue.PROJECTS)}")
    told = {name: wanted.get(name) for name in (SETTINGS, POLICY)}
    if not all(value is None or isinstance(value, dict) for value in told.values()):
        raise ValueError(f"{SETTINGS} and {POLICY} are objects or null; their members are served as they are given")
    return project, told


def _present(name: str, value: object) -> Json:
    return {} if value is None else {name: value}


def _refusal(kind: type[web.HTTPError], code: str, message: str) -> web.HTTPError:
    return kind(text=json.dumps({"error": {"code": code, "message": message}}), content_type="application/json")
