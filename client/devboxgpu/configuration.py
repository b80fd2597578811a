"""Where the control plane is, which project, who asks.

Flags come first, then the environment, then the local cloud, then the user's file.
"""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from devboxgpu.api import ControlPlane
from devboxgpu.errors import ConfigurationError
from devboxgpu.tokens import FixedToken, LocalIdentityToken, TokenSource
from devboxgpu.transport import Transport
from devboxgpu.wire import text_of

LOCAL_USER = "alice"
LOCAL_PROJECT = "demo"
KNOWN_KEYS = frozenset({"endpoint", "project"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    endpoint: str
    project: str
    tokens: TokenSource

    def control_plane(self) -> ControlPlane:
        return ControlPlane(Transport(self.endpoint), self.tokens, project=self.project)


def load(
    *,
    endpoint: str | None,
    project: str | None,
    project_needed: bool = True,
    environ: Mapping[str, str] | None = None,
    user_file: Path | None = None,
    repository: Path | None = None,
) -> Configuration:
    """The configuration that holds, each value from the first place that has one.

    Where no project is needed, none configured is the empty name. Raises ConfigurationError naming what is missing and
    every way to give it.
    """
    environ = os.environ if environ is None else environ
    stored = _read_user_file(user_file or user_config_file())
    local = _read_endpoints(environ, repository or find_repository())
    chosen = endpoint or environ.get("DEVBOXGPU_ENDPOINT") or local.get("api") or stored.get("endpoint")
    if not chosen:
        raise ConfigurationError(
            "no control plane is configured. Give --endpoint URL or DEVBOXGPU_ENDPOINT, put 'endpoint = \"URL\"' into "
            f"{user_config_file()}, or start the local cloud in the repository: devboxgpu local up"
        )
    is_local = chosen.rstrip("/") == local.get("api", "").rstrip("/")
    named = project or environ.get("DEVBOXGPU_PROJECT") or (LOCAL_PROJECT if is_local else stored.get("project"))
    if not named and project_needed:
        raise ConfigurationError("no project is configured. Give --project NAME or DEVBOXGPU_PROJECT")
    identity = local.get("identity") if is_local else None
    return Configuration(endpoint=chosen, project=named or "", tokens=_token_source(environ, identity))


def user_config_file() -> Path:
    import platformdirs

    return platformdirs.user_config_path("devboxgpu", appauthor=False, roaming=True) / "config.toml"


def find_repository() -> Path | None:
    """The DevBoxGPU repository that holds the local cloud: above this package (editable) or the current folder."""
    for start in (Path(__file__).resolve(), Path.cwd()):
        for folder in (start, *start.parents):
            if (folder / "localcloud" / "__main__.py").is_file() and (folder / "host.json").is_file():
                return folder
    return None


def _token_source(environ: Mapping[str, str], local_identity: str | None) -> TokenSource:
    if token := environ.get("DEVBOXGPU_ACCESS_TOKEN"):
        return FixedToken(token.strip(), origin="DEVBOXGPU_ACCESS_TOKEN")
    identity = environ.get("DEVBOXGPU_LOCAL_IDENTITY") or local_identity
    if identity:
        return LocalIdentityToken(identity, environ.get("DEVBOXGPU_LOCAL_USER") or LOCAL_USER)
    raise ConfigurationError(
        "no way to sign in is configured. Put a token for the control plane into DEVBOXGPU_ACCESS_TOKEN "
        "(for the local cloud: DEVBOXGPU_LOCAL_IDENTITY and DEVBOXGPU_LOCAL_USER)"
    )


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


def _read_user_file(file: Path) -> dict[str, str]:
    try:
        data = tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{file} cannot be read: {error}") from None
    unknown = sorted(set(data) - KNOWN_KEYS)
    wrong = sorted(key for key in KNOWN_KEYS & set(data) if not isinstance(data[key], str))
    if unknown or wrong:
        raise ConfigurationError(
            f"{file}: "
            + "; ".join([*(f"unknown key '{key}'" for key in unknown), *(f"'{key}' is no text" for key in wrong)])
            + f". Known keys: {', '.join(sorted(KNOWN_KEYS))}"
        )
    return {key: str(value) for key, value in data.items()}
