"""Container apps in Azure Resource Manager, through the vendor's SDK.

Long operations are never polled through the SDK: the resource itself is read (azure.md 0 point 9: operation status
lies at subscription scope, where we have no rights).
"""

from __future__ import annotations

from datetime import UTC
from typing import Any

from azure.core.credentials import TokenCredential
from azure.core.exceptions import AzureError, HttpResponseError

from shared.domain.errors import ErrorCode, Problem
from shared.domain.provisioning import AppCondition, AppSeen, Failure, no_capacity
from shared.domain.states import EndReason
from shared.ports.arm_answers import (
    TROUBLE_PAUSE_S,
    app_body,
    condition_of_replica,
    has_tag,
    is_trouble,
    listed_app,
    parts,
    pause_s,
)
from shared.ports.arm_client import asked, container_apps_client, environment_place
from shared.ports.container_apps import (
    Accepted,
    AppPage,
    AppSpec,
    ArmUnknown,
    Gone,
    GpuProved,
    Later,
    NoGpu,
    NotYet,
    WayIn,
)
from shared.ports.gpu_probe import ask_nvidia_smi
from shared.ports.system_log import read_troubles

BUSY_PAUSE_S = 2.0
ADVICE_LIMITS = {"connection_timeout": 2, "read_timeout": 2}
"""Seconds for what is only advice: a step that asks for it has other work to do in its ten."""


class AzureContainerApps:
    """The session apps of one resource group."""

    def __init__(
        self, *, credential: TokenCredential, endpoint: str, subscription_id: str, resource_group: str
    ) -> None:
        self._group = resource_group
        self._client = container_apps_client(credential=credential, endpoint=endpoint, subscription_id=subscription_id)

    def create(self, spec: AppSpec) -> Accepted | Later | Failure:
        try:
            self._client.container_apps.begin_create_or_update(self._group, spec.name, app_body(spec), polling=False)
        except HttpResponseError as error:
            return self._create_refused(spec, error)
        except AzureError as error:
            return Later(TROUBLE_PAUSE_S, f"Azure did not answer: {error}")
        return Accepted()

    def _create_refused(self, spec: AppSpec, error: HttpResponseError) -> Accepted | Later | Failure:
        status, code, message = parts(error)
        if status == 409:
            return self._accepted_before(spec.name) or Later(BUSY_PAUSE_S, message)
        if is_trouble(status):
            return Later(pause_s(error), message)
        if "capacity" in code.lower() or "quota" in code.lower():
            return no_capacity(message)
        is_image = code == "InvalidParameterValueInContainerTemplate"
        problem = Problem(
            code=ErrorCode.IMAGE_NOT_PULLED if is_image else ErrorCode.CREATION_REJECTED,
            message=f"Azure refused to create the session's container app ({code}): {message}",
        )
        return Failure(reason=EndReason.PROVISIONING_FAILED, problem=problem)

    def _accepted_before(self, app: str) -> Accepted | None:
        """Return Accepted where an earlier call of ours, whose reply was lost, is what keeps Azure busy."""
        try:
            found = self._client.container_apps.get(self._group, app)
        except AzureError:
            return None
        return None if found.properties.provisioning_state == "Deleting" else Accepted()

    def look(self, app: str) -> AppSeen | Gone:
        found = asked(lambda: self._client.container_apps.get(self._group, app), f"app {app}")
        if found is None:
            return Gone()
        state = found.properties.provisioning_state
        revision = found.properties.latest_revision_name
        if state in ("Failed", "Canceled"):
            return AppSeen(condition=AppCondition.FAILED, detail=self._why_failed(app, revision))
        if state != "Succeeded" or not revision:
            return AppSeen(condition=AppCondition.CREATING)
        replicas = self._replicas(app, revision)
        return condition_of_replica(replicas[0]) if replicas else AppSeen(condition=AppCondition.NO_REPLICA)

    def _replicas(self, app: str, revision: str) -> list[Any]:
        """Return the revision's replicas; none where there is no such revision."""
        found = asked(
            lambda: self._client.container_apps_revision_replicas.list_replicas(self._group, app, revision).value,
            f"replicas of {app}",
        )
        return found or []

    def _why_failed(self, app: str, revision: str | None) -> str:
        if not revision:
            return ""
        found = asked(
            lambda: self._client.container_apps_revisions.get_revision(self._group, app, revision), f"revision of {app}"
        )
        return (found.properties.provisioning_error or "") if found is not None else ""

    def delete(self, app: str) -> Accepted | Gone | Later:
        statuses: list[int] = []
        try:
            self._client.container_apps.begin_delete(
                self._group,
                app,
                polling=False,
                raw_response_hook=lambda answer: statuses.append(answer.http_response.status_code),
            )
        except HttpResponseError as error:
            status, _, message = parts(error)
            if status == 404:
                return Gone()
            return Later(BUSY_PAUSE_S if status == 409 else pause_s(error), message)
        except AzureError as error:
            return Later(TROUBLE_PAUSE_S, f"Azure did not answer: {error}")
        return Gone() if statuses[-1:] == [204] else Accepted()

    def list_apps(self, platform: str, page: str | None = None) -> AppPage:
        def ask() -> AppPage:
            pages = self._client.container_apps.list_by_resource_group(self._group).by_page(continuation_token=page)
            apps = [listed_app(found) for found in next(pages, ()) if has_tag(found, platform)]
            return AppPage(apps, pages.continuation_token or None)

        listed = asked(ask, "the list of apps")
        if listed is None:
            raise ArmUnknown(f"there is no resource group {self._group}")
        return listed

    def surely_gone(self, app: str, environment_id: str) -> bool:
        group, name = environment_place(environment_id)
        for _ in range(2):
            if asked(lambda: self._client.container_apps.get(self._group, app), f"app {app}") is not None:
                return False
        asked(lambda: self._client.managed_environments.get(group, name), f"environment {name}")
        return True

    def way_in(self, app: str) -> WayIn | NotYet:
        return self._way_in(app, self._exec_url(app))

    def _way_in(self, app: str, exec_url: str | None) -> WayIn | NotYet:
        if exec_url is None:
            return NotYet("the container is not running")
        issued = asked(lambda: self._client.container_apps.get_auth_token(self._group, app), f"a token for {app}")
        if issued is None:
            return NotYet("the container app is gone")
        expires = issued.properties.expires
        return WayIn(exec_url=exec_url, token=issued.properties.token, expires_at=expires.astimezone(UTC))

    def _exec_url(self, app: str) -> str | None:
        found = asked(lambda: self._client.container_apps.get(self._group, app), f"app {app}")
        revision = found.properties.latest_revision_name if found is not None else None
        if not revision:
            return None
        replicas = self._replicas(app, revision)
        for replica in replicas:
            for container in replica.properties.containers or []:
                if container.running_state == "Running" and container.exec_endpoint:
                    return str(container.exec_endpoint)
        return None

    def prove_gpu(self, app: str, exec_url: str | None) -> GpuProved | NoGpu | NotYet:
        way_in = self._way_in(app, exec_url or self._exec_url(app))
        return way_in if isinstance(way_in, NotYet) else ask_nvidia_smi(way_in)

    def troubles(self, app: str) -> str:
        try:
            found = asked(lambda: self._client.container_apps.get(self._group, app, **ADVICE_LIMITS), f"app {app}")
            endpoint = found.properties.event_stream_endpoint if found is not None else None
            if not endpoint:
                return ""
            issued = asked(
                lambda: self._client.container_apps.get_auth_token(self._group, app, **ADVICE_LIMITS),
                f"a token for {app}",
            )
            return read_troubles(endpoint, issued.properties.token) if issued is not None else ""
        except (ArmUnknown, AttributeError):  # the latter: an answer without properties
            return ""
