"""The app's own settings: read once from the environment, frozen, all faults named together."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import urlsplit

import msgspec

from shared.domain.names import ProjectId, project_id, user_id
from shared.ports.credentials import LOOPBACK
from shared.ports.entra_groups import ProjectGroups
from shared.ports.telemetry import Exporter


class BadSettings(Exception):
    """The app cannot start: its settings are missing or wrong. The text lists every fault."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AppSettings:
    """Where everything is, and the platform's own limits. Durations in seconds where stored, timedelta here."""

    tables_connection: str | None
    tables_endpoint: str | None
    arm_endpoint: str
    subscription_id: str
    resource_group: str
    environments: Mapping[str, str]
    token_issuer: str
    token_audiences: frozenset[str]
    token_jwks_url: str
    tenant_ids: frozenset[str]
    platform_signs_in: bool
    entitlement_groups: Mapping[ProjectId, ProjectGroups]
    graph_endpoint: str
    dev_center_endpoint: str | None
    dev_center_group: str | None
    dev_center_arm_endpoint: str
    prices_endpoint: str
    cost_endpoint: str
    cost_scope: str | None
    event_topic_endpoint: str | None
    event_topic_key: str | None
    platform_name: str
    identity_client_id: str | None
    pull_identity: str | None
    telemetry: Exporter
    telemetry_connection: str | None
    lease: timedelta
    renew_after: timedelta
    window: timedelta
    phase_limit_scale: float
    shortest_minutes: float
    driver_grace: timedelta
    repeat_wake_after: timedelta
    sweep_every: timedelta
    orphan_grace: timedelta
    retention: timedelta
    event_lifetime: timedelta
    user_requests_per_minute: float
    user_openings_per_minute: float
    project_requests_per_minute: float
    shells_per_user: int
    source_header: str | None


PLATFORM_SAYS = "WEBSITE_AUTH_ENABLED"
"""Set by App Service itself where its authentication is on: the principal header is then stripped from requests."""

_REQUIRED = {
    "DEVBOXGPU_SUBSCRIPTION_ID": "the subscription id (a GUID) that sessions are created in",
    "DEVBOXGPU_RESOURCE_GROUP": "the resource group of the sessions' container apps",
    "DEVBOXGPU_ENVIRONMENTS": 'JSON of region to managed environment id, such as {"westus3": "/subscriptions/..."}',
    "DEVBOXGPU_TOKEN_ISSUER": "the issuer of access tokens; {tenantid} in it stands for each tenant's id",
    "DEVBOXGPU_TOKEN_AUDIENCE": "the audiences of access tokens (the app registration's client id), with commas",
    "DEVBOXGPU_TOKEN_JWKS_URL": "the URL of the issuer's signing keys",
    "DEVBOXGPU_TENANT_IDS": "the tenant ids (GUIDs) whose users are let in, separated by commas",
}
_NUMBERS = {
    "DEVBOXGPU_LEASE_SECONDS": (150.0, 1.0, 3600.0),
    "DEVBOXGPU_RENEW_SECONDS": (60.0, 0.2, 600.0),
    "DEVBOXGPU_WINDOW_SECONDS": (900.0, 1.0, 86400.0),
    "DEVBOXGPU_PHASE_LIMIT_SCALE": (1.0, 0.0001, 10.0),
    "DEVBOXGPU_SHORTEST_MINUTES": (1.0, 0.001, 60.0),
    "DEVBOXGPU_DRIVER_GRACE_SECONDS": (10.0, 0.5, 600.0),
    "DEVBOXGPU_REPEAT_WAKE_SECONDS": (5.0, 0.2, 600.0),
    "DEVBOXGPU_SWEEP_SECONDS": (300.0, 1.0, 3600.0),
    "DEVBOXGPU_ORPHAN_GRACE_SECONDS": (30.0, 1.0, 3600.0),
    "DEVBOXGPU_RETENTION_HOURS": (24.0, 0.001, 8760.0),
    "DEVBOXGPU_EVENT_LIFETIME_HOURS": (24.0, 0.001, 720.0),
    "DEVBOXGPU_USER_REQUESTS_PER_MINUTE": (600.0, 1.0, 1_000_000.0),
    "DEVBOXGPU_USER_OPENINGS_PER_MINUTE": (30.0, 1.0, 1_000_000.0),
    "DEVBOXGPU_PROJECT_REQUESTS_PER_MINUTE": (12_000.0, 1.0, 10_000_000.0),
    "DEVBOXGPU_SHELLS_PER_USER": (200.0, 1.0, 1000.0),
}

MONITOR_CONNECTION = "APPLICATIONINSIGHTS_CONNECTION_STRING"
"""The platform's own name for where Application Insights is; the functions host reads it too."""


def from_environment() -> AppSettings:
    """Return the settings of this process; raise BadSettings that names all faults."""
    return parse(os.environ)


def parse(environ: Mapping[str, str]) -> AppSettings:
    """Return the settings in this environment; raise BadSettings that names all faults at once."""
    faults = [f"{name} is not set: {meaning}" for name, meaning in _REQUIRED.items() if not environ.get(name)]
    if not environ.get("DEVBOXGPU_TABLES_CONNECTION") and not environ.get("DEVBOXGPU_TABLES_ENDPOINT"):
        faults.append("DEVBOXGPU_TABLES_ENDPOINT is not set: the table endpoint of the app's storage account")
    _check_keys_url(environ.get("DEVBOXGPU_TOKEN_JWKS_URL") or "", faults)
    groups = _groups(environ.get("DEVBOXGPU_ENTITLEMENT_GROUPS") or "{}", faults)
    if not environ.get("DEVBOXGPU_DEV_CENTER_ENDPOINT") and not groups:
        faults.append("DEVBOXGPU_DEV_CENTER_ENDPOINT is not set: the Dev Center's data-plane URL")
    wants_platform = _flag(environ, "DEVBOXGPU_TRUST_PLATFORM_SIGN_IN", faults)
    numbers = {name: _number(environ, name, faults) for name in _NUMBERS}
    environments = _environments(environ.get("DEVBOXGPU_ENVIRONMENTS") or "{}", faults)
    telemetry = _exporter(environ, faults)
    if faults:
        raise BadSettings("; ".join(faults))
    arm_endpoint = environ.get("DEVBOXGPU_ARM_ENDPOINT") or "https://management.azure.com"
    return AppSettings(
        tables_connection=environ.get("DEVBOXGPU_TABLES_CONNECTION") or None,
        tables_endpoint=environ.get("DEVBOXGPU_TABLES_ENDPOINT") or None,
        arm_endpoint=arm_endpoint,
        subscription_id=environ["DEVBOXGPU_SUBSCRIPTION_ID"],
        resource_group=environ["DEVBOXGPU_RESOURCE_GROUP"],
        environments=environments,
        token_issuer=environ["DEVBOXGPU_TOKEN_ISSUER"],
        token_audiences=_words(environ["DEVBOXGPU_TOKEN_AUDIENCE"]),
        token_jwks_url=environ["DEVBOXGPU_TOKEN_JWKS_URL"],
        tenant_ids=_words(environ["DEVBOXGPU_TENANT_IDS"].lower()),
        platform_signs_in=wants_platform and environ.get(PLATFORM_SAYS, "").lower() == "true",
        entitlement_groups=groups,
        graph_endpoint=(environ.get("DEVBOXGPU_GRAPH_ENDPOINT") or "https://graph.microsoft.com").rstrip("/"),
        dev_center_endpoint=(environ.get("DEVBOXGPU_DEV_CENTER_ENDPOINT") or "").rstrip("/") or None,
        dev_center_group=environ.get("DEVBOXGPU_DEV_CENTER_GROUP") or None,
        dev_center_arm_endpoint=environ.get("DEVBOXGPU_DEV_CENTER_ARM_ENDPOINT") or arm_endpoint,
        prices_endpoint=(environ.get("DEVBOXGPU_PRICES_ENDPOINT") or "https://prices.azure.com").rstrip("/"),
        cost_endpoint=(environ.get("DEVBOXGPU_COST_ENDPOINT") or arm_endpoint).rstrip("/"),
        cost_scope=(environ.get("DEVBOXGPU_COST_SCOPE") or "").strip("/") or None,
        event_topic_endpoint=environ.get("DEVBOXGPU_EVENT_TOPIC_ENDPOINT") or None,
        event_topic_key=environ.get("DEVBOXGPU_EVENT_TOPIC_KEY") or None,
        platform_name=environ.get("DEVBOXGPU_PLATFORM_NAME") or "devboxgpu",
        identity_client_id=environ.get("AZURE_CLIENT_ID") or None,
        pull_identity=environ.get("DEVBOXGPU_PULL_IDENTITY") or None,
        telemetry=telemetry,
        telemetry_connection=environ.get(MONITOR_CONNECTION) or None,
        lease=timedelta(seconds=numbers["DEVBOXGPU_LEASE_SECONDS"]),
        renew_after=timedelta(seconds=numbers["DEVBOXGPU_RENEW_SECONDS"]),
        window=timedelta(seconds=numbers["DEVBOXGPU_WINDOW_SECONDS"]),
        phase_limit_scale=numbers["DEVBOXGPU_PHASE_LIMIT_SCALE"],
        shortest_minutes=numbers["DEVBOXGPU_SHORTEST_MINUTES"],
        driver_grace=timedelta(seconds=numbers["DEVBOXGPU_DRIVER_GRACE_SECONDS"]),
        repeat_wake_after=timedelta(seconds=numbers["DEVBOXGPU_REPEAT_WAKE_SECONDS"]),
        sweep_every=timedelta(seconds=numbers["DEVBOXGPU_SWEEP_SECONDS"]),
        orphan_grace=timedelta(seconds=numbers["DEVBOXGPU_ORPHAN_GRACE_SECONDS"]),
        retention=timedelta(hours=numbers["DEVBOXGPU_RETENTION_HOURS"]),
        event_lifetime=timedelta(hours=numbers["DEVBOXGPU_EVENT_LIFETIME_HOURS"]),
        user_requests_per_minute=numbers["DEVBOXGPU_USER_REQUESTS_PER_MINUTE"],
        user_openings_per_minute=numbers["DEVBOXGPU_USER_OPENINGS_PER_MINUTE"],
        project_requests_per_minute=numbers["DEVBOXGPU_PROJECT_REQUESTS_PER_MINUTE"],
        shells_per_user=int(numbers["DEVBOXGPU_SHELLS_PER_USER"]),
        source_header=_source_header(environ),
    )


def _words(text: str) -> frozenset[str]:
    return frozenset(part.strip() for part in text.split(",") if part.strip())


def _flag(environ: Mapping[str, str], name: str, faults: list[str]) -> bool:
    text = (environ.get(name) or "false").lower()
    if text not in ("true", "false"):
        faults.append(f"{name} must be true or false; it is '{text}'")
    return text == "true"


def _check_keys_url(url: str, faults: list[str]) -> None:
    """Keys that came unencrypted from another machine could be anybody's."""
    parts = urlsplit(url)
    if url and parts.scheme != "https" and (parts.scheme != "http" or parts.hostname not in LOOPBACK):
        faults.append("DEVBOXGPU_TOKEN_JWKS_URL must begin with https:// (http:// on this machine alone)")


def _groups(text: str, faults: list[str]) -> dict[ProjectId, ProjectGroups]:
    """Return the groups of each project; group ids are compared as Graph tells them, in lower case."""
    try:
        named = msgspec.json.decode(text, type=dict[str, ProjectGroups])
    except msgspec.MsgspecError as error:
        faults.append(f"DEVBOXGPU_ENTITLEMENT_GROUPS is not JSON of project to groups: {error}")
        return {}
    found: dict[ProjectId, ProjectGroups] = {}
    for name, groups in named.items():
        project, members = project_id(name), user_id(groups.members)
        administrators = user_id(groups.administrators) if groups.administrators else None
        if project is None or members is None or (groups.administrators and administrators is None):
            faults.append(f"DEVBOXGPU_ENTITLEMENT_GROUPS: '{name}' must be a project id with object ids of groups")
        else:
            found[project] = ProjectGroups(members=members, administrators=administrators)
    return found


def _source_header(environ: Mapping[str, str]) -> str | None:
    """Return the header that names where a request comes from; None where nobody but the caller could have set it.

    App Service says by WEBSITE_SITE_NAME that its front end is before the app, which appends what it saw.
    """
    usual = "x-forwarded-for" if environ.get("WEBSITE_SITE_NAME") else ""
    return environ.get("DEVBOXGPU_SOURCE_HEADER", usual).strip().lower() or None


def _exporter(environ: Mapping[str, str], faults: list[str]) -> Exporter:
    text = environ.get("DEVBOXGPU_TELEMETRY") or Exporter.NONE
    if text not in set(Exporter):
        faults.append(f"DEVBOXGPU_TELEMETRY must be {', '.join(Exporter)}; it is '{text}'")
        return Exporter.NONE
    if text == Exporter.AZURE_MONITOR and not environ.get(MONITOR_CONNECTION):
        faults.append(
            f"{MONITOR_CONNECTION} is not set: DEVBOXGPU_TELEMETRY={text} needs Application Insights' address"
        )
    return Exporter(text)


def _number(environ: Mapping[str, str], name: str, faults: list[str]) -> float:
    default, lowest, highest = _NUMBERS[name]
    text = environ.get(name)
    if not text:
        return default
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not lowest <= value <= highest:
        faults.append(f"{name} must be a number from {lowest:g} to {highest:g}; it is '{text}'")
        return default
    return value


def _environments(text: str, faults: list[str]) -> dict[str, str]:
    try:
        return msgspec.json.decode(text, type=dict[str, str])
    except msgspec.MsgspecError as error:
        faults.append(f"DEVBOXGPU_ENVIRONMENTS is not JSON of region to environment id: {error}")
        return {}
