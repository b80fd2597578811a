"""Everything that ARM can be asked without changing anything."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlencode

from aiohttp import web

from localcloud.container_apps import access_tokens, rendering
from localcloud.container_apps.arm_routes import Address, Verb
from localcloud.container_apps.catalog import ENVIRONMENTS, RESOURCE_GROUP, Environment, canonical_location
from localcloud.container_apps.errors import ArmError, resource_not_found
from localcloud.container_apps.faults import number
from localcloud.container_apps.ports import Origins
from localcloud.container_apps.records import App, Json, Revision, app_id
from localcloud.container_apps.registry import Registry


class ArmReads:
    """Finds and renders. Raises ArmError 404 for what is not there."""

    def __init__(self, *, registry: Registry, origins: Origins) -> None:
        self._registry = registry
        self._origins = origins
        self._by_verb: dict[Verb, Callable[[Address, web.Request], Json]] = {
            Verb.APP_GET: lambda address, _: rendering.app(self.app(address), origins),
            Verb.APP_TOKEN: lambda address, _: self._token(self.app(address)),
            Verb.APPS: self._apps,
            Verb.APPS_IN_GROUP: self._apps,
            Verb.REVISIONS: lambda address, _: self._revisions(self.app(address)),
            Verb.REVISION_GET: lambda address, _: rendering.revision(*self._revision(address)),
            Verb.REPLICAS: lambda address, _: {"value": self._replicas(address)},
            Verb.REPLICA_GET: lambda address, _: self._replica(address),
            Verb.ENVIRONMENTS: lambda *_: self._environments(),
            Verb.ENVIRONMENTS_IN_GROUP: lambda *_: self._environments(),
            Verb.ENVIRONMENT_GET: lambda address, _: rendering.environment(_environment(address), registry.capacity),
            Verb.ENVIRONMENT_USAGES: lambda address, _: self._usages(_environment(address)),
            Verb.ENVIRONMENT_PROFILES: lambda address, _: {
                "value": rendering.profile_states(_environment(address), registry)
            },
            Verb.LOCATION_USAGES: lambda address, _: {"value": rendering.location_usages(_location(address))},
            Verb.LOCATION_PROFILES: lambda address, _: {"value": rendering.available_profiles(_location(address))},
        }

    def read(self, address: Address, request: web.Request) -> Json:
        return self._by_verb[address.verb](address, request)

    def find_app(self, address: Address) -> App | None:
        return self._registry.app(_app_id(address))

    def app(self, address: Address) -> App:
        found = self.find_app(address)
        if found is None:
            raise resource_not_found(_app_id(address))
        return found

    def _token(self, app: App) -> Json:
        lifetime_s = self._registry.faults.seconds("token_ttl", app.name)
        token, expires_at = access_tokens.issue(
            app,
            key=self._registry.signing_key,
            lifetime_s=access_tokens.LIFETIME_S if lifetime_s is None else lifetime_s,
        )
        return {
            "id": f"{app.id}/accesstoken",
            "location": app.location,
            "name": app.name,
            "type": "Microsoft.App/containerApps/accesstoken",
            "properties": {"token": token, "expires": rendering.timestamp(expires_at)},
        }

    def _apps(self, _address: Address, request: web.Request) -> Json:
        """Return one page, in the order of names; the link to the next one says its number and the last name."""
        page_text, _, after = request.query.get("$skiptoken", "1:").partition(":")
        page = int(page_text) if page_text.isdigit() else 1
        failing = self._registry.faults.peek("list_fails_on_page", None)
        if failing is not None and int(number(failing)) == page:
            self._registry.faults.hit("list_fails_on_page", None)
            raise ArmError(500, "InternalServerError", "The server encountered an internal error while listing.")
        rest = sorted((app for app in self._registry.apps.values() if app.name > after), key=lambda app: app.name)
        shown = rest[: self._registry.capacity.page_size]
        answer: Json = {"value": [rendering.app(app, self._origins) for app in shown]}
        if len(shown) < len(rest):
            query = {"api-version": request.query["api-version"], "$skiptoken": f"{page + 1}:{shown[-1].name}"}
            answer["nextLink"] = f"{self._origins.arm}{request.path}?{urlencode(query)}"
        return answer

    def _environments(self) -> Json:
        capacity = self._registry.capacity
        return {"value": [rendering.environment(found, capacity) for found in ENVIRONMENTS.values()]}

    def _usages(self, environment: Environment) -> Json:
        if self._registry.faults.hit("usages_500", None) is not None:
            raise ArmError(500, "InternalServerError", "The server encountered an internal error while counting.")
        return {"value": rendering.environment_usages(environment, self._registry, self._registry.capacity)}

    def _revisions(self, app: App) -> Json:
        return {"value": [rendering.revision(app, revision) for revision in app.revisions if revision.active]}

    def _revision(self, address: Address) -> tuple[App, Revision]:
        app = self.app(address)
        for revision in app.revisions:
            if revision.name == address.names["revision"].lower():
                return app, revision
        raise resource_not_found(f"{app.id}/revisions/{address.names['revision']}")

    def _replicas(self, address: Address) -> list[Json]:
        app, revision = self._revision(address)
        replica = app.replica
        if replica is None or replica.revision != revision.name or not rendering.is_listed(replica):
            return []
        return [rendering.replica(app, replica, self._origins)]

    def _replica(self, address: Address) -> Json:
        wanted = address.names["replica"].lower()
        for found in self._replicas(address):
            if found["name"] == wanted:
                return found
        raise resource_not_found(f"{_app_id(address)}/revisions/{address.names['revision']}/replicas/{wanted}")


def _app_id(address: Address) -> str:
    return app_id(address.names["subscription"], RESOURCE_GROUP, address.names["app"])


def _environment(address: Address) -> Environment:
    found = ENVIRONMENTS.get(address.names["environment"].lower())
    if found is None:
        raise resource_not_found(
            f"/subscriptions/{address.names['subscription']}/resourceGroups/{RESOURCE_GROUP}"
            f"/providers/Microsoft.App/managedEnvironments/{address.names['environment']}"
        )
    return found


def _location(address: Address) -> str:
    return canonical_location(address.names["location"])
