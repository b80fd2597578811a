"""The folder that holds everything the local cloud keeps, and the lock that lets one `up` or `down` work on it."""

from __future__ import annotations

import fcntl
import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from localcloud.stack.problem import StackProblemError
from localcloud.whole_file import FOR_THE_OWNER, write_whole

ROOT = Path(__file__).resolve().parent.parent.parent
SECRET_BYTES = 24


class StateFolder:
    """Paths inside one state folder. Nothing is made before it is needed."""

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()
        self.endpoints = self.path / "endpoints.json"
        self.processes = self.path / "processes.json"
        self.ports = self.path / "ports.json"
        self.prepared = self.path / "prepared.json"
        self.host_keys = self.path / "host-keys.json"
        self.logs = self.path / "logs"
        self.azurite = self.path / "azurite"
        self.event_grid = self.path / "event-grid"
        self.container_apps = self.path / "cloud"

    @property
    def identity_header(self) -> str:
        """The secret by which the app's managed identity knows it."""
        return self._secret("identity-header")

    @property
    def topic_key(self) -> str:
        """The access key of the Event Grid topic."""
        return self._secret("event-grid-topic-key")

    def log_of(self, process: str) -> Path:
        return self.logs / f"{process}.log"

    def _secret(self, name: str) -> str:
        """Return the folder's secret of this name, made on the first call and readable by the owner only."""
        path = self.path / f"{name}.secret"
        try:
            return path.read_text()
        except FileNotFoundError:
            write_whole(path, secrets.token_urlsafe(SECRET_BYTES), mode=FOR_THE_OWNER)
            return path.read_text()

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Wait until nobody else changes this local cloud, then keep others out. The lock ends with the process."""
        self.path.mkdir(parents=True, exist_ok=True)
        with (self.path / "lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


def read_json(path: Path) -> dict[str, Any] | None:
    """Return the object in the file, or None where there is no file; a damaged file is said, never guessed over."""
    try:
        content = json.loads(path.read_text())
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise StackProblemError(f"{path} cannot be read: {error}. Run `python -m localcloud clean`.") from error
    if not isinstance(content, dict):
        raise StackProblemError(f"{path} does not hold an object. Run `python -m localcloud clean`.")
    return content


def write_json(path: Path, content: object) -> None:
    write_whole(path, json.dumps(content, indent=1) + "\n")
