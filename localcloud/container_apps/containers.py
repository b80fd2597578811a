"""Turns a container of a template into what the machine runs: command, environment, directory, GPU."""

from __future__ import annotations

import secrets
import uuid
from dataclasses import replace
from pathlib import Path

from localcloud.container_apps.ports import ContainerPlan, Gpu
from localcloud.container_apps.process_table import MARK
from localcloud.container_apps.records import App, Json, Replica

_SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# A local replica has no image, so an image's own entry point is a process that does nothing, as in a session image.
_IMAGE_COMMAND = ("sleep", "infinity")
_CRASHING = ("sh", "-c", "exit 1")
_GPU_NAMESPACE = uuid.UUID("6f0c8f5e-2d2b-4c5e-9a54-0d6f2d7f10a7")
_LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"


def random_word(length: int) -> str:
    return "".join(secrets.choice(_LETTERS) for _ in range(length))


def new_replica_names(revision: str) -> tuple[str, str]:
    """Return the name, `{revision}-{hash}-{hash}` as the service has it, and a short name for the directory.

    The directory is short because programs in it open Unix sockets, whose paths end at 107 characters.
    """
    first, second = random_word(10), random_word(5)
    return f"{revision}-{first}-{second}", first + second


def gpu_of(replica: str, gpu_type: str, *, broken: bool) -> Gpu:
    return Gpu(type=gpu_type, uuid=f"GPU-{uuid.uuid5(_GPU_NAMESPACE, replica)}", broken=broken)


def first_container(app: App) -> Json:
    """Return the container that gets the GPU, and the only one that a local replica runs."""
    container: Json = app.revision.template["containers"][0]
    return container


def container_plan(
    app: App, replica: Replica, root: Path, *, crashing: bool = False, has_python: bool = True
) -> ContainerPlan:
    container = first_container(app)
    words = (*(container.get("command") or ()), *(container.get("args") or ()))
    command = tuple(map(str, words)) or _IMAGE_COMMAND
    return replace(_plan(app, replica, root, _CRASHING if crashing else command), has_python=has_python)


def exec_plan(app: App, replica: Replica, root: Path, command: tuple[str, ...]) -> ContainerPlan:
    """Plan a further program in a running container, with the container's own environment."""
    return _plan(app, replica, root, command)


def _plan(app: App, replica: Replica, root: Path, command: tuple[str, ...]) -> ContainerPlan:
    directory = root / replica.directory
    return ContainerPlan(
        replica=replica.name,
        directory=directory,
        command=command,
        environment=_environment(app, replica, directory),
        gpu=replica.gpu,
    )


def _environment(app: App, replica: Replica, directory: Path) -> dict[str, str]:
    secret_values = {secret["name"]: secret.get("value") or "" for secret in app.configuration.get("secrets") or []}
    given = {
        str(variable["name"]): str(
            secret_values.get(variable["secretRef"], "") if variable.get("secretRef") else variable.get("value") or ""
        )
        for variable in first_container(app).get("env") or []
    }
    return {
        "HOME": str(directory / "home"),
        "TERM": "xterm-256color",
        "LANG": "C.UTF-8",
        "TMPDIR": str(directory / "tmp"),
        "CONTAINER_APP_NAME": app.name,
        "CONTAINER_APP_REVISION": replica.revision,
        "CONTAINER_APP_REPLICA_NAME": replica.name,
        **given,
        "PATH": f"{directory / 'bin'}:{given.get('PATH') or _SYSTEM_PATH}",
        MARK: replica.name,
    }
