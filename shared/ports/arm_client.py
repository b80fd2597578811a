"""The vendor's client of Container Apps as we use it, how it is asked, and where an environment's id says it lies.

The SDK's retries are off: a throttled call is an outcome, and the story waits, not a thread.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, TypeVar

from azure.core.credentials import TokenCredential
from azure.core.exceptions import AzureError, HttpResponseError, ResourceNotFoundError

from shared.ports.arm_answers import parts, pause_s
from shared.ports.container_apps import ArmUnknown
from shared.ports.credentials import token_policy

T = TypeVar("T")
SCOPE = "https://management.azure.com/.default"
ABSENT = ("ResourceNotFound", "ResourceGroupNotFound", "NotFound")
_ENVIRONMENT_ID = re.compile(
    r"/subscriptions/[^/]+/resourceGroups/([^/]+)/providers/Microsoft\.App/managedEnvironments/([^/]+)/?",
    re.IGNORECASE,
)


def container_apps_client(*, credential: TokenCredential, endpoint: str, subscription_id: str) -> Any:
    """Return the SDK's client. Any: its models declare every field optional; what is absent is met where it is read."""
    from azure.mgmt.appcontainers import ContainerAppsAPIClient  # a second to import: not before it is used

    return ContainerAppsAPIClient(
        credential,
        subscription_id,
        base_url=endpoint,
        credential_scopes=[SCOPE],
        authentication_policy=token_policy(credential, endpoint, SCOPE),
        retry_total=0,
        connection_timeout=3,
        read_timeout=6,
    )


def asked(ask: Callable[[], T], what: str) -> T | None:
    """Return Azure's answer, None where it says that there is no such thing; raise ArmUnknown for all else."""
    try:
        return ask()
    except ResourceNotFoundError as error:
        if parts(error)[1] in ABSENT:
            return None
        raise ArmUnknown(f"{what}: {error}") from error
    except HttpResponseError as error:
        raise ArmUnknown(f"{what}: {error.status_code} {parts(error)[1]}", retry_after_s=pause_s(error)) from error
    except (AzureError, ValueError) as error:  # the SDK reads a page that is no JSON with json's own ValueError
        raise ArmUnknown(f"{what}: {error}") from error


def environment_place(environment_id: str) -> tuple[str, str]:
    """Return resource group and name of an environment: it may lie in another group than the apps.

    Raise ArmUnknown where the text is no environment's id: nothing can be asked of such a place.
    """
    found = _ENVIRONMENT_ID.fullmatch(environment_id)
    if found is None:
        raise ArmUnknown(f"'{environment_id}' is not the id of a managed environment")
    return found.group(1), found.group(2)
