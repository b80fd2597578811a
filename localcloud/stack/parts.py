"""The three processes of the local cloud: how each is started, how it is seen to be ready, how it is ended."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from localcloud.stack.addresses import Addresses
from localcloud.stack.app_settings import AppSecrets, host_environment, without_proxy
from localcloud.stack.azurite import azurite_command
from localcloud.stack.http import NotAnsweringError, ask
from localcloud.stack.problem import StackProblemError
from localcloud.stack.state_folder import StateFolder, read_json

AZURITE = "azurite"
CLOUD = "cloud"
HOST = "host"
NAMES = (AZURITE, CLOUD, HOST)

AZURITE_SERVICES = ("blob", "queue", "table")
CLOUD_SERVICES = ("arm", "exec", "identity", "dev_center", "prices", "costs", "event_grid")

HEALTH_PATH = "/_health"
# A seed: the host's engine then loses, repeats and delays as the vendor's was measured to.
AS_AZURE_SETTING = "DEVBOXGPU_AS_AZURE"
LOOK_TIMEOUT_S = 5.0
DRAIN_PATIENCE_S = 20.0
# Azurite writes what it acknowledged when it is asked to end; it is waited for and never killed in an orderly stop.
AZURITE_PATIENCE_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One process of the local cloud."""

    name: str
    services: tuple[str, ...]
    command: Callable[[], list[str]]
    environment: Mapping[str, str]
    is_ready: Callable[[], bool]
    patience_s: float
    may_be_killed: bool


def parts_of(
    state: StateFolder, addresses: Addresses, *, app: Path, caller: Mapping[str, str], overrides: Mapping[str, str]
) -> dict[str, Part]:
    """Return the local cloud's processes in the order in which they are started."""
    azurite = Part(
        name=AZURITE,
        services=AZURITE_SERVICES,
        command=lambda: azurite_command(addresses, state.azurite, caller),
        environment=without_proxy(caller),
        is_ready=lambda: all(_is_azurite(addresses.origin(service)) for service in AZURITE_SERVICES),
        patience_s=AZURITE_PATIENCE_S,
        may_be_killed=False,
    )
    cloud = Part(
        name=CLOUD,
        services=CLOUD_SERVICES,
        command=lambda: [sys.executable, "-m", "localcloud.cloud", "--state", str(state.path)],
        environment=without_proxy(caller),
        is_ready=lambda: _is_our_cloud(addresses.origin("identity"), state.path),
        patience_s=DRAIN_PATIENCE_S,
        may_be_killed=True,
    )
    return {AZURITE: azurite, CLOUD: cloud, HOST: _host(state, addresses, app, caller, overrides)}


def _host(
    state: StateFolder, addresses: Addresses, app: Path, caller: Mapping[str, str], overrides: Mapping[str, str]
) -> Part:
    command = [sys.executable, "-m", "localcloud.functions_host", str(app), "--port", str(addresses.api)]
    command += ["--state", str(state.path), "--keys", str(state.host_keys), "--strict"]
    if seed := caller.get(AS_AZURE_SETTING):
        command += ["--as-azure", seed]
    secrets = AppSecrets(identity_header=state.identity_header, topic_key=state.topic_key)
    return Part(
        name=HOST,
        services=("api",),
        command=lambda: command,
        environment=host_environment(addresses, secrets, caller=caller, overrides=overrides),
        is_ready=lambda: _is_running_host(addresses.origin("api"), state),
        patience_s=DRAIN_PATIENCE_S,
        may_be_killed=True,
    )


def master_key(state: StateFolder) -> str:
    """Return the key that the functions host gave to its owner; empty before the host has started."""
    return str((read_json(state.host_keys) or {}).get("master", ""))


def _is_azurite(origin: str) -> bool:
    try:
        answer = ask("GET", f"{origin}/", timeout_s=LOOK_TIMEOUT_S)
    except NotAnsweringError:
        return False
    return answer.headers.get("server", "").startswith("Azurite")


def _is_our_cloud(origin: str, state: Path) -> bool:
    try:
        answer = ask("GET", f"{origin}{HEALTH_PATH}", timeout_s=LOOK_TIMEOUT_S)
    except NotAnsweringError:
        return False
    return answer.status == 200 and answer.json().get("state") == str(state)


def _is_running_host(origin: str, state: StateFolder) -> bool:
    """Tell whether the host runs the app; raises StackProblemError where it says that it never will."""
    headers = {"x-functions-key": master_key(state)}
    try:
        answer = ask("GET", f"{origin}/admin/host/status", headers=headers, timeout_s=LOOK_TIMEOUT_S)
    except NotAnsweringError:
        return False
    if answer.status != 200:
        return False
    status = answer.json()
    if status.get("state") == "Error":
        reasons = "; ".join(map(str, status.get("errors") or [])) or "no reason was given"
        raise StackProblemError(f"the functions host cannot serve the app: {reasons}\nIts log: {state.log_of(HOST)}")
    return bool(status.get("state") == "Running")
