"""What is configured and by what: environment, project file, local cloud, user's file, machine's, in this order."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from devboxgpu.config_files import Places, read_file, read_project_file
from devboxgpu.config_keys import KEYS, checked
from devboxgpu.errors import ConfigurationError
from devboxgpu.wire import text_of

LOCAL_PROJECT = "demo"


@dataclass(frozen=True, slots=True)
class Value:
    text: str
    origin: str
    """Where it comes from, for people."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Values:
    """The values that hold where no flag says otherwise."""

    by_key: Mapping[str, Value]
    local_api: str | None
    local_identity: str | None

    def text(self, key: str) -> str | None:
        value = self.by_key.get(key)
        return value.text if value is not None else None

    def is_local(self, endpoint: str) -> bool:
        return self.local_api is not None and endpoint.rstrip("/") == self.local_api.rstrip("/")


def values_of(environ: Mapping[str, str], places: Places, repository: Path | None, endpoint: str | None) -> Values:
    """Each value from the first place that has one; empty variables count as absent.

    `endpoint` is what a flag says: the local cloud's project serves only for the local cloud. Raises
    ConfigurationError for a file or a value that cannot be used.
    """
    local = _read_endpoints(environ, repository)
    stored = [
        {} if file is None else {name: Value(text, str(file)) for name, text in read(file).items()}
        for file, read in (
            (places.project, read_project_file),
            (places.user, read_file),
            (places.machine, read_file),
        )
    ]
    above = {**stored[0], **_from_environment(environ)}
    below = {**stored[2], **stored[1]}
    api = local.get("api")
    is_local = api is not None and (endpoint or _text(above, "endpoint") or api).rstrip("/") == api.rstrip("/")
    between: dict[str, Value] = {}
    if api is not None:
        between["endpoint"] = Value(api, "the local cloud")
    if is_local:
        between["project"] = Value(LOCAL_PROJECT, "the local cloud")
    return Values(by_key={**below, **between, **above}, local_api=api, local_identity=local.get("identity"))


def _text(values: Mapping[str, Value], key: str) -> str | None:
    return values[key].text if key in values else None


def _from_environment(environ: Mapping[str, str]) -> dict[str, Value]:
    return {
        key.name: Value(checked(key, text, where=key.variable), key.variable)
        for key in KEYS.values()
        if (text := environ.get(key.variable, "").strip())
    }


def _read_endpoints(environ: Mapping[str, str], repository: Path | None) -> dict[str, str]:
    """The local cloud's addresses; empty where there is none."""
    state = environ.get("DEVBOXGPU_STATE")
    if not state and repository is None:
        return {}
    file = (Path(state) if state else (repository or Path()) / ".localcloud") / "endpoints.json"
    try:
        data = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{file} cannot be read ({error}): 'devboxgpu local up' writes it anew") from None
    return {key: value for key in ("api", "identity") if isinstance(data, dict) and (value := text_of(data, key))}
