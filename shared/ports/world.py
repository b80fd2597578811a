"""Everything outside, in one value: what activities and the API are handed. Made on first use, never at import."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import cache

from azure.core.credentials import TokenCredential

from shared.domain.settings import SettingsBounds
from shared.ports.clock import utc_now
from shared.ports.container_apps import ContainerApps
from shared.ports.entitlement import Entitlement
from shared.ports.environments import Environments
from shared.ports.event_topic import EventGridTopic, EventTopic, NoTopic
from shared.ports.governance import ArmGovernance, DevCenterGovernance, NoGovernance
from shared.ports.prices import Prices
from shared.ports.sessions import Sessions
from shared.ports.settings import AppSettings, from_environment
from shared.ports.tokens import Tokens


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """The ports of one process."""

    settings: AppSettings
    sessions: Sessions
    apps: ContainerApps
    environments: Environments
    entitlement: Entitlement
    governance: DevCenterGovernance
    prices: Prices
    topic: EventTopic
    tokens: Tokens
    now: Callable[[], datetime]

    @property
    def bounds(self) -> SettingsBounds:
        return SettingsBounds(
            shortest_minutes=self.settings.shortest_minutes, regions=frozenset(self.settings.environments)
        )


@cache
def world() -> World:
    """Return this process's ports, with the real adapters. Raise BadSettings where the settings are wrong."""
    from shared.ports.azure_container_apps import AzureContainerApps
    from shared.ports.azure_tables import connect
    from shared.ports.credentials import managed_identity
    from shared.ports.entitlement import DevCenterEntitlement
    from shared.ports.environments import AzureEnvironments
    from shared.ports.prices import RetailPrices
    from shared.ports.tokens import EntraTokens

    settings = from_environment()
    credential = managed_identity(settings.identity_client_id)
    tables = connect(connection=settings.tables_connection, endpoint=settings.tables_endpoint, credential=credential)
    tables.create_tables()
    return World(
        settings=settings,
        sessions=Sessions(tables),
        apps=AzureContainerApps(
            credential=credential,
            endpoint=settings.arm_endpoint,
            subscription_id=settings.subscription_id,
            resource_group=settings.resource_group,
        ),
        environments=AzureEnvironments(
            credential=credential, endpoint=settings.arm_endpoint, subscription_id=settings.subscription_id
        ),
        entitlement=DevCenterEntitlement(endpoint=settings.dev_center_endpoint, credential=credential),
        governance=_governance(settings, credential),
        prices=RetailPrices(settings.prices_endpoint),
        topic=_topic(settings, credential),
        now=utc_now,
        tokens=EntraTokens(
            issuer=settings.token_issuer,
            audience=settings.token_audience,
            jwks_url=settings.token_jwks_url,
            tenants=settings.tenant_ids,
        ),
    )


def _topic(settings: AppSettings, credential: TokenCredential) -> EventTopic:
    if settings.event_topic_endpoint is None:
        return NoTopic()
    return EventGridTopic(
        endpoint=settings.event_topic_endpoint,
        key=settings.event_topic_key,
        credential=credential,
        platform_name=settings.platform_name,
    )


def _governance(settings: AppSettings, credential: TokenCredential) -> DevCenterGovernance:
    if settings.dev_center_group is None:
        return NoGovernance()
    return ArmGovernance(
        credential=credential,
        endpoint=settings.dev_center_arm_endpoint,
        subscription_id=settings.subscription_id,
        resource_group=settings.dev_center_group,
    )
