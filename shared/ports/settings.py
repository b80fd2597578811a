"""The app's own settings: read once from the environment, frozen, all faults named together."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

import msgspec

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
    token_audience: str
    token_jwks_url: str
    tenant_ids: frozenset[str]
    dev_center_endpoint: str
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


_REQUIRED = {
    "DEVBOXGPU_SUBSCRIPTION_ID": "the subscription id (a GUID) that sessions are created in",
    "DEVBOXGPU_RESOURCE_GROUP": "the resource group of the sessions' container apps",
    "DEVBOXGPU_ENVIRONMENTS": 'JSON of region to managed environment id, such as {"westus3": "/subscriptions/..."}',
    "DEVBOXGPU_TOKEN_ISSUER": "the issuer of access tokens",
    "DEVBOXGPU_TOKEN_AUDIENCE": "the audience of access tokens, such as api://devboxgpu",
    "DEVBOXGPU_TOKEN_JWKS_URL": "the URL of the issuer's signing keys",
    "DEVBOXGPU_TENANT_IDS": "the tenant ids (GUIDs) whose users are let in, separated by commas",
    "DEVBOXGPU_DEV_CENTER_ENDPOINT": "the Dev Center's data-plane URL",
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
        token_audience=environ["DEVBOXGPU_TOKEN_AUDIENCE"],
        token_jwks_url=environ["DEVBOXGPU_TOKEN_JWKS_URL"],
        tenant_ids=frozenset(part.strip() for part in environ["DEVBOXGPU_TENANT_IDS"].split(",") if part.strip()),
        dev_center_endpoint=environ["DEVBOXGPU_DEV_CENTER_ENDPOINT"].rstrip("/"),
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
    )


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
