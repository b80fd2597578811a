"""What the control plane needs of Azure Container Apps, as outcomes: expected ones are data, unknown ones raise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from shared.domain.provisioning import AppSeen, Failure
from shared.domain.sweeping import ListedApp

PLATFORM_TAG, PROJECT_TAG = "devboxgpu-control-plane", "devboxgpu-project"


class ArmUnknown(Exception):
    """Azure could not be asked, or gave no usable answer. Nothing follows from it: never "gone", never "failed"."""

    def __init__(self, what: str, *, retry_after_s: float = 5.0) -> None:
        super().__init__(what)
        self.retry_after_s = retry_after_s


@dataclass(frozen=True, slots=True, kw_only=True)
class AppSpec:
    """The container app of one session: one replica, one dedicated GPU, no ingress.

    `registry` and `pull_identity` go together: the server that the image lies on, and the resource id of the
    user-assigned identity that pulls it. Without them the image is pulled without signing in.
    """

    name: str
    region: str
    environment_id: str
    profile: str
    image: str
    cpu: float
    memory_gib: int
    tags: Mapping[str, str]
    registry: str | None = None
    pull_identity: str | None = None


@dataclass(frozen=True, slots=True)
class Accepted:
    """Azure has taken the request: the app is, or is being, made (or deleted)."""


@dataclass(frozen=True, slots=True)
class Later:
    """Azure asks to come back: throttled, busy with another operation of this app, or out of order."""

    after_s: float
    why: str


@dataclass(frozen=True, slots=True)
class Gone:
    """Azure says that there is no such app."""


@dataclass(frozen=True, slots=True)
class GpuProved:
    """`nvidia-smi` answered in the container and named a GPU."""

    shown: str


@dataclass(frozen=True, slots=True)
class NoGpu:
    """`nvidia-smi` ran in the container and found no GPU."""

    shown: str


@dataclass(frozen=True, slots=True)
class NotYet:
    """The container could not be asked yet."""

    why: str


@dataclass(frozen=True, slots=True)
class AppPage:
    """Some of the apps that are ours by tag. `next_page` asks for the rest; None: these were the last."""

    apps: list[ListedApp]
    next_page: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class WayIn:
    """How to run a command in the session's container. The token opens this one app; it is never stored or logged."""

    exec_url: str
    token: str
    expires_at: datetime

    def __repr__(self) -> str:
        return f"WayIn(exec_url={self.exec_url!r}, token=***, expires_at={self.expires_at})"


class ContainerApps(Protocol):
    """One resource group of session apps."""

    def create(self, spec: AppSpec) -> Accepted | Later | Failure:
        """Make the app exist. The name is the session's, so a repeated call finds the first one's work."""

    def look(self, app: str) -> AppSeen | Gone:
        """Return how far the app has come. Raise ArmUnknown where that cannot be told."""

    def delete(self, app: str) -> Accepted | Gone | Later:
        """Ask for the app's end. Accepted is no proof that it is gone: look until Gone."""

    def list_apps(self, platform: str, page: str | None = None) -> AppPage:
        """Return a page of the apps whose tag names this control plane, the first one where none is named.

        Raise ArmUnknown where it cannot be had: then nothing follows from the pages before it either.
        """

    def surely_gone(self, app: str, environment_id: str) -> bool:
        """Tell whether Azure says twice that the app is not there, while its environment can be read (I5)."""

    def way_in(self, app: str) -> WayIn | NotYet:
        """Return a fresh way into the running container."""

    def prove_gpu(self, app: str, exec_url: str | None) -> GpuProved | NoGpu | NotYet:
        """Run `nvidia-smi` in the container: readiness is not what ARM says (azure.md 4.6).

        `exec_url` is the one that the last look saw; without it the container is looked for first.
        """

    def troubles(self, app: str) -> str:
        """Return what the service's system log says of why the replica does not come: its newest words, at most 300
        characters; empty where it says nothing or cannot be read. Advice for people and for telling failures apart.
        """
