"""The Dev Center stand-in's HTTP side, as azure-developer-devcenter speaks to it; beside it, Resource Manager's."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TypeVar

from aiohttp import web
from aiohttp.typedefs import Handler

from localcloud.dev_center import catalogue
from localcloud.dev_center.resource_manager import ResourceManager, is_resource_manager
from localcloud.identity.tokens import InvalidToken
from localcloud.outage import is_handle, with_outage

AUDIENCE = "https://devcenter.azure.com"
PAGE_SIZE = 100

CALLER = web.RequestKey("caller", str)

Item = TypeVar("Item")
CheckToken = Callable[[str], Awaitable[Mapping[str, object]]]


class DevCenterService:
    """Answers for Dev Center at `origin`."""

    def __init__(self, *, origin: str, check_token: CheckToken, check_arm_token: CheckToken) -> None:
        self._origin = origin
        self._check_token = check_token
        self._check_arm_token = check_arm_token

    def app(self) -> web.Application:
        app = web.Application(middlewares=[self._signed_in])
        add = app.router.add_get
        add("/projects", self._projects)
        add("/projects/{project}", self._project)
        add("/projects/{project}/users/{user}/devboxes", self._dev_boxes)
        add("/projects/{project}/users/{user}/devboxes/{box}", self._dev_box)
        add("/users/{user}/devboxes", self._dev_boxes)
        add("/devboxes", self._dev_boxes)
        app.add_routes(ResourceManager().routes())
        return with_outage(app)

    @web.middleware
    async def _signed_in(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if is_handle(request.path):
            return await handler(request)
        check = self._check_arm_token if is_resource_manager(request.path) else self._check_token
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            return _refusal(401, "InvalidAuthenticationToken", "a bearer token is needed")
        try:
            claims = await check(token.strip())
        except InvalidToken as error:
            return _refusal(401, "InvalidAuthenticationToken", error.reason)
        if not request.query.get("api-version"):
            return _refusal(400, "MissingApiVersionParameter", "the query parameter api-version is missing")
        request[CALLER] = str(claims.get("oid", ""))
        return await handler(request)

    async def _projects(self, request: web.Request) -> web.Response:
        return self._page(request, list(catalogue.PROJECTS.values()), catalogue.Project.to_wire)

    async def _project(self, request: web.Request) -> web.Response:
        return web.json_response(_project_of(request).to_wire())

    async def _dev_boxes(self, request: web.Request) -> web.Response:
        project = _project_of(request).name if "project" in request.match_info else None
        return self._page(request, catalogue.owners(project, _user_of(request)), catalogue.dev_box)

    async def _dev_box(self, request: web.Request) -> web.Response:
        wanted = request.match_info["box"].lower()
        for owner in catalogue.owners(_project_of(request).name, _user_of(request)):
            box = catalogue.dev_box(owner)
            if box["name"] == wanted:
                return web.json_response(box)
        return _refusal(404, "DevBoxNotFound", f"there is no Dev Box {wanted} of this user in the project")

    def _page(
        self, request: web.Request, items: Sequence[Item], show: Callable[[Item], dict[str, object]]
    ) -> web.Response:
        """Answer with one page of at most `top` or 100 items, and where the next one is."""
        query = request.query
        try:
            skip, size = int(query.get("$skip", "0")), min(int(query.get("top", PAGE_SIZE)), PAGE_SIZE)
        except ValueError:
            return _refusal(400, "InvalidParameter", "top and $skip are numbers")
        if skip < 0 or size < 1:
            return _refusal(400, "InvalidParameter", "top is 1 or more and $skip not below 0")
        body: dict[str, object] = {"value": [show(item) for item in items[skip : skip + size]]}
        if len(items) > skip + size:
            following = request.rel_url.update_query({"$skip": str(skip + size)})
            body["nextLink"] = f"{self._origin}{following}"
        return web.json_response(body)


def _project_of(request: web.Request) -> catalogue.Project:
    name = request.match_info["project"]
    project = catalogue.find_project(name)
    if project is None:
        raise web.HTTPNotFound(
            text='{"error": {"code": "ProjectNotFound", "message": "there is no such project"}}',
            content_type="application/json",
        )
    return project


def _user_of(request: web.Request) -> str | None:
    user = request.match_info.get("user")
    return request[CALLER] if user == "me" else user


def _refusal(status: int, code: str, message: str) -> web.Response:
    return web.json_response({"error": {"code": code, "message": message}}, status=status)
