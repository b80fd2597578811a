"""What a fresh local cloud needs before a person can use it: the app's event subscription and the two projects.

Everything goes through the same doors that an operator would use, and doing it again changes nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from localcloud.identity import people
from localcloud.stack.addresses import Addresses
from localcloud.stack.http import Answer, NotAnsweringError, ask
from localcloud.stack.parts import master_key
from localcloud.stack.problem import StackProblemError
from localcloud.stack.state_folder import StateFolder, read_json

API_VERSION = "2026-12-01-preview"
EVENT_FUNCTION = "on_resource_event"
SUBSCRIPTION_NAME = "resource-events"
SETTINGS_ROUTE = "projects/{project}/gpusettings"
OPERATOR = "olga"

PATIENCE_S = 30.0
TRY_AGAIN_S = 0.1

DEMO_SETTINGS: Mapping[str, Any] = {
    "serverlessGpuSessionsSettings": {"serverlessGpuSessionsMode": "AutoDeploy", "maxConcurrentSessionsPerProject": 4},
    "maxConcurrentSessionsPerUser": 2,
}
OTHER_SETTINGS: Mapping[str, Any] = {
    "serverlessGpuSessionsSettings": {"serverlessGpuSessionsMode": "Disabled", "maxConcurrentSessionsPerProject": 4},
}


def prepare(state: StateFolder, addresses: Addresses) -> None:
    """Subscribe the app to events and make the two projects, where the app has what takes them."""
    functions = _functions(state, addresses)
    if any(function.get("name") == EVENT_FUNCTION for function in functions):
        _subscribe(state, addresses)
    if any(_takes_settings(function) for function in functions):
        _make_project(addresses, people.DEMO_PROJECT, DEMO_SETTINGS)
        _make_project(addresses, people.OTHER_PROJECT, OTHER_SETTINGS)


def token_of(addresses: Addresses, user: str) -> str:
    """Return a token of a made-up user; raises StackProblemError."""
    try:
        answer = ask("GET", f"{addresses.origin('identity')}/token?user={user}")
    except NotAnsweringError as error:
        raise StackProblemError(f"the local cloud is not running ({error}); run `make up`") from error
    if answer.status != 200:
        raise StackProblemError(f"no token for {user}: {answer.text()}")
    return str(answer.json()["access_token"])


def _functions(state: StateFolder, addresses: Addresses) -> list[dict[str, Any]]:
    url = f"{addresses.origin('api')}/admin/functions"
    answer = _persistently(lambda: ask("GET", url, headers={"x-functions-key": master_key(state)}), url)
    if answer.status != 200:
        raise StackProblemError(f"the functions host did not list its functions: {answer.status} {answer.text()}")
    found = answer.json()
    return [entry for entry in found if isinstance(entry, dict)] if isinstance(found, list) else []


def _takes_settings(function: Mapping[str, Any]) -> bool:
    bindings = (function.get("config") or {}).get("bindings") or []
    return any(
        binding.get("route", "").lower().strip("/") == SETTINGS_ROUTE
        and "put" in [method.lower() for method in binding.get("methods") or []]
        for binding in bindings
    )


def _subscribe(state: StateFolder, addresses: Addresses) -> None:
    key = str((read_json(state.host_keys) or {}).get("eventgrid_extension", ""))
    hook = f"{addresses.origin('api')}/runtime/webhooks/EventGrid?functionName={EVENT_FUNCTION}&code={key}"
    body = {"endpointUrl": hook, "schema": "CloudEventSchemaV1_0"}
    url = f"{addresses.origin('event_grid')}/_subscriptions/{SUBSCRIPTION_NAME}"
    answer = _persistently(lambda: ask("PUT", url, body=body), url)
    if answer.status not in (200, 201):
        raise StackProblemError(f"the app's event subscription was refused: {answer.status} {answer.text()}")


def _make_project(addresses: Addresses, project: str, settings: Mapping[str, Any]) -> None:
    url = f"{addresses.origin('api')}/api/projects/{project}/gpuSettings?api-version={API_VERSION}"
    headers = {"Authorization": f"Bearer {token_of(addresses, OPERATOR)}", "If-None-Match": "*"}
    answer = _persistently(lambda: ask("PUT", url, body=settings, headers=headers), url)
    if answer.status not in (200, 201, 412):
        raise StackProblemError(f"project {project} could not be made: {answer.status} {answer.text()}")


def _persistently(request: Callable[[], Answer], what: str) -> Answer:
    """Ask again while nobody answers or the answer is the server's own trouble; return the last answer."""
    gives_up_at = time.monotonic() + PATIENCE_S
    while True:
        late = time.monotonic() > gives_up_at
        try:
            answer = request()
            if answer.status < 500 or late:
                return answer
        except NotAnsweringError as error:
            if late:
                raise StackProblemError(f"{what.partition('?')[0]} does not answer: {error}") from error
        time.sleep(TRY_AGAIN_S)
