"""Settings that tests put in force for project `demo`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from localcloud.stack.app_settings import SUBSCRIPTION

ROOMY: Mapping[str, Any] = {
    "serverlessGpuSessionsSettings": {"serverlessGpuSessionsMode": "AutoDeploy", "maxConcurrentSessionsPerProject": 50},
    "maxConcurrentSessionsPerUser": 20,
}
"""What tests begin with: the defaults of time (a lease's grace of two minutes among them), and room for everybody."""
LAPSES_AT_ONCE: Mapping[str, Any] = {"idle": {"timeoutMinutes": 30, "graceMinutes": 0}}
FIFO: Mapping[str, Any] = {"line": {"fairness": "fifo", "maxLength": 500}}
PULLER = (
    f"/subscriptions/{SUBSCRIPTION}/resourceGroups/devboxgpu-sessions"
    "/providers/Microsoft.ManagedIdentity/userAssignedIdentities/puller-of-images"
)
"""Who pulls private images."""


def places(sessions: int, **others: Any) -> dict[str, Any]:
    """Return settings with room for so many sessions of the project at once."""
    mode = {"serverlessGpuSessionsMode": "AutoDeploy", "maxConcurrentSessionsPerProject": sessions}
    return {"serverlessGpuSessionsSettings": mode, **others}


def disabled() -> dict[str, Any]:
    return {"serverlessGpuSessionsSettings": {"serverlessGpuSessionsMode": "Disabled"}}
