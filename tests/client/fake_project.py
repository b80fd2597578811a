"""A project as its members and administrators meet it over the API: its settings, with bounds and policy locks."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field

from fake_answers import Answer, Call, error

DEFAULTS: dict[str, object] = {
    "serverlessGpuSessionsSettings": {"serverlessGpuSessionsMode": "AutoDeploy", "maxConcurrentSessionsPerProject": 4},
    "maxConcurrentSessionsPerUser": 2,
    "gpuTypes": [{"type": "T4", "maxConcurrent": 3, "fallback": False}, {"type": "A100", "maxConcurrent": 1}],
    "regions": [{"name": "westus3", "order": 1}, {"name": "swedencentral", "order": 2, "environmentId": "env-se"}],
    "requireVirtualNetwork": False,
    "images": {"allowPreset": True, "registries": [], "default": "mcr/preset:1", "requireDigest": False},
    "shellSharing": "dedicated",
    "idle": {"timeoutMinutes": 30.0, "graceMinutes": 2.0, "warnMinutes": [5.0, 1.0]},
    "maxLifetimeMinutes": 480.0,
    "extendLimitMinutes": 240.0,
    "line": {"enabled": True, "maxLength": 50, "timeoutMinutes": 60.0, "fairness": "fairShare"},
    "labels": {},
}
BOUNDS = {"idle.timeoutMinutes": (1, 10080), "maxConcurrentSessionsPerUser": (1, 500), "line.maxLength": (1, 1000)}


@dataclass
class FakeProject:
    name: str = "demo"
    role: str = "administrator"
    settings: dict[str, object] = field(default_factory=lambda: copy.deepcopy(DEFAULTS))
    sources: dict[str, str] = field(default_factory=dict)
    """Where settings come from; those not named come from the project."""
    locks: dict[str, str] = field(default_factory=dict)
    """Settings that a policy decides, each with what it says."""
    budget_spent: str | None = None
    revision: int = 7
    changed_by_another_before_writing: bool = False
    replayed: dict[str, object] = field(default_factory=dict)
    """What a replay comes to."""
    swept: dict[str, object] = field(default_factory=dict)
    """What a sweep comes to."""
    running_sessions: str | None = None
    """What the last write asked for the sessions that run."""

    @property
    def etag(self) -> str:
        return f'"{self.revision}-a"'

    def view(self) -> dict[str, object]:
        gpu_types = self.settings["gpuTypes"]
        assert isinstance(gpu_types, list)
        answer: dict[str, object] = {
            "id": self.name,
            "enabled": _at(self.settings, "serverlessGpuSessionsSettings.serverlessGpuSessionsMode") == "AutoDeploy",
            "role": self.role,
            "maxConcurrentSessions": 4,
            "sessions": 3,
            "maxConcurrentSessionsPerUser": self.settings["maxConcurrentSessionsPerUser"],
            "yourSessions": 1,
            "waiting": 2,
            "gpuTypes": [
                {"type": entry["type"], "maxConcurrent": entry.get("maxConcurrent", 4), "sessions": 1}
                for entry in gpu_types
            ],
            "shellSharing": self.settings["shellSharing"],
        }
        if self.budget_spent is not None:
            answer["budget"] = {"monthlyAmount": "500", "spent": self.budget_spent, "currency": "USD"}
        return answer

    def read(self, call: Call) -> Answer:
        if call.query.get("view") != ["effective"]:
            return 200, self.settings, {"ETag": self.etag}
        locks = [{"setting": setting, "message": message} for setting, message in self.locks.items()]
        names = {path: "project" for path in _paths(self.settings)} | self.sources
        return 200, {"settings": self.settings, "sources": names, "locks": locks}, {"ETag": self.etag}

    def sweep(self, call: Call) -> Answer:
        return 200, {**self.swept, "dryRun": call.query.get("dryRun") == ["true"]}, {}

    def replay(self, call: Call) -> Answer:
        if self.role != "administrator":
            return error(403, "Forbidden", "only an administrator of project demo may replay its demand")
        patched = _merged(self.settings, (call.body or {}).get("settings"))
        for path, (low, high) in BOUNDS.items():
            if isinstance(value := _at(patched, path), int | float) and not low <= value <= high:
                wrong = {"code": "InvalidParameter", "target": path, "message": f"must be from {low} to {high}"}
                return error(400, "InvalidParameter", "the replay is not valid", details=[wrong])
        return 200, self.replayed, {}

    def patch(self, call: Call) -> Answer:
        if self.role != "administrator":
            return error(403, "Forbidden", "only an administrator of project demo may change its settings")
        if "if-match" not in call.headers:
            return error(428, "PreconditionRequired", "If-Match is missing")
        self.revision += self.changed_by_another_before_writing
        if call.headers["if-match"] != self.etag:
            return error(412, "ConditionNotMet", "the settings have changed since you read them")
        patched = _merged(self.settings, call.body)
        assert isinstance(patched, dict)
        for setting, message in self.locks.items():
            if _at(patched, setting) != _at(self.settings, setting):
                return error(409, "SettingLockedByPolicy", message, target=setting)
        wrong = [
            {"code": "InvalidParameter", "target": path, "message": f"must be from {low} to {high}; it is {value:g}"}
            for path, (low, high) in BOUNDS.items()
            if isinstance(value := _at(patched, path), int | float) and not low <= value <= high
        ]
        if wrong:
            return error(400, "InvalidParameter", "the settings are not valid", details=wrong)
        if call.query.get("dryRun") != ["true"]:
            self.settings, self.revision = patched, self.revision + 1
            self.running_sessions = call.query.get("runningSessions", [None])[0]
        return 200, patched, {"ETag": self.etag}


def _merged(target: object, patch: object) -> object:
    """RFC 7396."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = _merged(result.get(name), value)
    return result


def _at(settings: object, path: str) -> object:
    for name in path.split("."):
        settings = settings.get(name) if isinstance(settings, dict) else None
    return settings


def _paths(settings: dict[str, object], before: str = "") -> list[str]:
    return [
        path
        for name, value in settings.items()
        for path in (_paths(value, f"{before}{name}.") if isinstance(value, dict) and value else [f"{before}{name}"])
    ]
