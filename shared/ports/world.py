"""Everything outside, in one value: what activities and the API are handed. Made on first use, never at import."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING

from azure.core.credentials import TokenCredential

from shared.domain.memory import Remembered
from shared.domain.names import ProjectId
from shared.domain.placement import Outlook, Place, environments_of
from shared.domain.pricing import GpuType, Rate
from shared.domain.records import SessionRow
from shared.domain.settings import GpuSettings, SettingsBounds
from shared.ports.actual_cost import ActualCost, CostManagement
from shared.ports.capacity_memory import CapacityMemory
from shared.ports.clock import utc_now
from shared.ports.container_apps import ContainerApps
from shared.ports.entitlement import Entitlement
from shared.ports.environments import Environments
from shared.ports.event_topic import EventGridTopic, EventTopic, NoTopic
from shared.ports.governance import ArmGovernance, DevCenterGovernance, NoGovernance
from shared.ports.pace import Pace
from shared.ports.prices import Prices
from shared.ports.refusals import Refusals
from shared.ports.sessions import Sessions
from shared.ports.settings import AppSettings, from_environment
from shared.ports.telemetry import Exporter, NoTelemetry, Telemetry
from shared.ports.throttle import Throttle
from shared.ports.tokens import Tokens

if TYPE_CHECKING:
    from shared.ports.queued_telemetry import Sink

SWEEP_CHECK_EVERY = timedelta(seconds=150)
"""How often a process looks, on the occasion of a call, whether the sweep is overdue: half of its usual slot."""


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
    memory: CapacityMemory
    actual_cost: ActualCost | None = None  # no scope is set to ask for: nothing is reconciled
    throttle: Throttle = field(default_factory=Throttle)
    refusals: Refusals = field(default_factory=Refusals)
    telemetry: Telemetry = field(default_factory=NoTelemetry)
    lines_told: set[ProjectId] = field(default_factory=set)
    """Projects whose line was told of when it was last counted: one that has emptied is told as 0."""
    sweep_check: Pace = field(default_factory=lambda: Pace(SWEEP_CHECK_EVERY))

    def environment_of(self, session: SessionRow) -> str:
        """Return the id of the environment that the session's app is in."""
        return session.environment_id or self.settings.environments[session.region or session.regions[0]]

    def outlook(self, project: ProjectId) -> Outlook:
        """Return what is known of Azure's capacity for this project, without asking anybody but storage."""
        policy = self.sessions.recent_policy(project)
        return outlook_of(policy, self.settings, self.environments, self.memory, self.prices)

    @property
    def bounds(self) -> SettingsBounds:
        return SettingsBounds(
            shortest_minutes=self.settings.shortest_minutes,
            regions=frozenset(self.settings.environments),
            subscription_id=self.settings.subscription_id,
            has_pull_identity=self.settings.pull_identity is not None,
        )


def outlook_of(
    settings: GpuSettings, app: AppSettings, environments: Environments, memory: CapacityMemory, prices: Prices
) -> Outlook:
    """Return what is remembered of the places that these settings allow."""
    free: dict[Place, int] = {}
    remembered: dict[Place, Remembered] = {}
    rates: dict[Place, Rate] = {}
    environments_there = environments_of(settings, app.environments)
    for region, environment_id in environments_there.items():
        facts = environments.known(environment_id)
        for gpu_type in GpuType:
            place = Place(region, gpu_type)
            if facts is not None and facts.free is not None and gpu_type in facts.free:
                free[place] = facts.free[gpu_type]
            if (known := memory.known(place)) is not None:
                remembered[place] = known
            if (rate := prices.known(region, gpu_type)) is not None:
                rates[place] = rate
    return Outlook(regions=tuple(environments_there), free=free, memory=remembered, rates=rates)


@cache
def world() -> World:
    """Return this process's ports, with the real adapters. Raise BadSettings where the settings are wrong."""
    from shared.ports.azure_container_apps import AzureContainerApps
    from shared.ports.azure_tables import connect
    from shared.ports.credentials import managed_identity
    from shared.ports.environments import AzureEnvironments
    from shared.ports.prices import RetailPrices
    from shared.ports.signing_keys import SigningKeys, keys_at
    from shared.ports.tokens import EntraTokens

    settings = from_environment()
    credential = managed_identity(settings.identity_client_id)
    tables = connect(connection=settings.tables_connection, endpoint=settings.tables_endpoint, credential=credential)
    tables.create_tables()
    memory, prices = CapacityMemory(tables, utc_now), RetailPrices(settings.prices_endpoint)
    environments = AzureEnvironments(
        credential=credential, endpoint=settings.arm_endpoint, subscription_id=settings.subscription_id
    )
    sessions = Sessions(
        tables, utc_now, lambda policy: outlook_of(policy, settings, environments, memory, prices), settings.window
    )
    return World(
        settings=settings,
        sessions=sessions,
        apps=AzureContainerApps(
            credential=credential,
            endpoint=settings.arm_endpoint,
            subscription_id=settings.subscription_id,
            resource_group=settings.resource_group,
        ),
        environments=environments,
        memory=memory,
        entitlement=_entitlement(settings, credential),
        governance=_governance(settings, credential),
        prices=prices,
        topic=_topic(settings, credential),
        now=utc_now,
        actual_cost=_actual_cost(settings, credential, sessions),
        telemetry=_telemetry(settings, credential),
        tokens=EntraTokens(
            issuer=settings.token_issuer,
            audiences=settings.token_audiences,
            tenants=settings.tenant_ids,
            keys=SigningKeys(keys_at(settings.token_jwks_url)),
        ),
    )


def _entitlement(settings: AppSettings, credential: TokenCredential) -> Entitlement:
    from shared.ports.dev_center import ArmProjects, DevCenterEntitlement
    from shared.ports.entra_groups import GroupEntitlement

    if settings.entitlement_groups or settings.dev_center_endpoint is None:
        return GroupEntitlement(
            endpoint=settings.graph_endpoint, credential=credential, groups=settings.entitlement_groups
        )
    projects = None
    if settings.dev_center_group is not None:
        projects = ArmProjects(
            endpoint=settings.dev_center_arm_endpoint,
            subscription_id=settings.subscription_id,
            resource_group=settings.dev_center_group,
        )
    return DevCenterEntitlement(endpoint=settings.dev_center_endpoint, credential=credential, projects=projects)


def _actual_cost(settings: AppSettings, credential: TokenCredential, sessions: Sessions) -> ActualCost | None:
    if settings.cost_scope is None:
        return None
    return CostManagement(
        credential=credential,
        endpoint=settings.cost_endpoint,
        scope=settings.cost_scope,
        project_of=sessions.project_of,
    )


def _telemetry(settings: AppSettings, credential: TokenCredential) -> Telemetry:
    if settings.telemetry is Exporter.NONE:
        return NoTelemetry()
    from shared.ports.queued_telemetry import QueuedTelemetry

    return QueuedTelemetry(lambda: _sink(settings, credential))


def _sink(settings: AppSettings, credential: TokenCredential) -> Sink:
    from shared.ports.otel import make_sink  # in the thread that exports: some tenths of a second

    return make_sink(settings.telemetry, settings.platform_name, settings.telemetry_connection, credential)


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
