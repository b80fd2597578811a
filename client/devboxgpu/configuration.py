"""Where the control plane is, which project, who asks, and what is asked for where nothing is said.

Flags come first, then the environment, the project file, the local cloud, the user's file, the machine's.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from devboxgpu.api import ControlPlane
from devboxgpu.config_files import Places, places, user_config_file
from devboxgpu.config_keys import KEYS
from devboxgpu.config_values import Values, values_of
from devboxgpu.errors import ConfigurationError
from devboxgpu.tokens import FixedToken, LocalIdentityToken, TokenSource
from devboxgpu.transport import Transport

LOCAL_USER = "alice"
WISHES = {"gpuType": "gpu", "region": "region", "image": "image"}
"""What may be configured of OpenShell's body, with the keys."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    endpoint: str
    project: str
    tokens: TokenSource
    values: Values

    def control_plane(self) -> ControlPlane:
        return ControlPlane(Transport(self.endpoint), self.tokens, project=self.project)

    def with_wishes(self, request: Mapping[str, object]) -> dict[str, object]:
        """OpenShell's body with what is configured where nothing was said. Who joins a session takes it as it is."""
        if "session" in request:
            return dict(request)
        wishes = {name: text for name, key in WISHES.items() if (text := self.values.text(key)) is not None}
        return {**wishes, **request}


def load(
    *,
    endpoint: str | None,
    project: str | None,
    project_needed: bool = True,
    environ: Mapping[str, str] | None = None,
    files: Places | None = None,
    repository: Path | None = None,
) -> Configuration:
    """The configuration that holds, each value from the first place that has one.

    Where no project is needed, none configured is the empty name. Raises ConfigurationError naming what is missing and
    every way to give it.
    """
    environ = os.environ if environ is None else environ
    values = values_of(environ, files or places(), repository or find_repository(), endpoint)
    chosen = endpoint or values.text("endpoint")
    if not chosen:
        raise ConfigurationError(
            "no control plane is configured. Give --endpoint URL or DEVBOXGPU_ENDPOINT, say 'devboxgpu config set "
            f"endpoint URL' (it goes into {user_config_file()}), or start the local cloud in the repository: "
            "devboxgpu local up"
        )
    named = project or values.text("project")
    if not named and project_needed:
        raise ConfigurationError(
            "no project is configured. Give --project NAME or DEVBOXGPU_PROJECT, or say 'devboxgpu config set project "
            "NAME'"
        )
    identity = values.local_identity if values.is_local(chosen) else None
    return Configuration(
        endpoint=chosen, project=named or "", tokens=_token_source(environ, identity, values), values=values
    )


def configured_values() -> Values:
    """What is configured, where no control plane is needed."""
    return values_of(os.environ, places(), find_repository(), None)


def configured_output() -> str:
    """How data is written where no flag says it."""
    return configured_values().text("output") or "table"


def find_repository() -> Path | None:
    """The DevBoxGPU repository that holds the local cloud: above this package (editable) or the current folder."""
    for start in (Path(__file__).resolve(), Path.cwd()):
        for folder in (start, *start.parents):
            if (folder / "localcloud" / "__main__.py").is_file() and (folder / "host.json").is_file():
                return folder
    return None


def _token_source(environ: Mapping[str, str], local_identity: str | None, values: Values) -> TokenSource:
    if token := environ.get("DEVBOXGPU_ACCESS_TOKEN"):
        return FixedToken(token.strip(), origin="DEVBOXGPU_ACCESS_TOKEN")
    identity = environ.get("DEVBOXGPU_LOCAL_IDENTITY") or local_identity
    if identity:
        return LocalIdentityToken(identity, environ.get("DEVBOXGPU_LOCAL_USER") or LOCAL_USER)
    from devboxgpu.sign_in.azure_links import links_of
    from devboxgpu.sign_in.chain import ChainToken
    from devboxgpu.sign_in.settings import sign_in_settings

    if (settings := sign_in_settings(values)) is None:
        raise ConfigurationError(
            f"no way to sign in is configured. Say 'devboxgpu config set client_id ID' ({KEYS['client_id'].meaning}; "
            "tenant_id and scope too where needed), or put a token for the control plane into DEVBOXGPU_ACCESS_TOKEN "
            "(for the local cloud: DEVBOXGPU_LOCAL_IDENTITY and DEVBOXGPU_LOCAL_USER)"
        )
    return ChainToken(links_of(settings, environ))
