"""What this machine knows of shells that go on without a terminal: a file each, written by who keeps the shell."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, Self

from devboxgpu.keeper_lock import KeeperLock
from devboxgpu.whole_file import write_whole

KEPT_S = 7 * 24 * 3600.0
MOST_KEPT = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class DetachedShell:
    """Instants are seconds since 1970."""

    shell: str
    session: str
    project: str
    endpoint: str
    program: str
    """What runs, for people."""
    terminal: bool
    began_at: float
    """When it was detached."""
    keeper_pid: int | None = None
    kept_since: float | None = None
    """When its keeper first held the lease."""
    exit_code: int | None = None
    ended_at: float | None = None
    """When its session was known to be over, or was asked to be."""
    end_reason: str = ""
    """As the control plane calls it; empty where nothing is known."""
    end_note: str = ""
    """Why it ended, for people."""
    cost: str = ""
    lasted_s: float | None = None

    @property
    def is_over(self) -> bool:
        return self.exit_code is not None or self.ended_at is not None

    @classmethod
    def read(cls, data: dict[str, Any]) -> Self:
        """Raises TypeError where it is not such a record; what it knows beyond this is left out."""
        known = {field.name for field in fields(cls)}
        return cls(**{name: value for name, value in data.items() if name in known})


def state_folder() -> Path:
    import platformdirs

    return platformdirs.user_state_path("devboxgpu", appauthor=False) / "detached"


class DetachedStore:
    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder or state_folder()

    def add(self, record: DetachedShell) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._forget_old()
        self._write(record)

    def update(self, shell: str, **changes: Any) -> DetachedShell:
        """Only for who holds its lock, or has just added it. Raises KeyError where it is not known (any more)."""
        record = self.get(shell)
        if record is None:
            raise KeyError(shell)
        changed = replace(record, **changes)
        self._write(changed)
        return changed

    def get(self, shell: str) -> DetachedShell | None:
        return self._read(self._file(shell))

    def newest_first(self, *, endpoint: str, project: str, session: str | None = None) -> list[DetachedShell]:
        """What was detached there; those that go on come first."""
        found = [record for record in self._all() if (record.endpoint, record.project) == (endpoint, project)]
        if session is not None:
            found = [record for record in found if record.session == session]
        return sorted(found, key=lambda record: (record.is_over, -record.began_at))

    def remove(self, shell: str) -> None:
        for file in (self._file(shell), *self.log_files(shell), self.keeper_log(shell), self._lock(shell)):
            with contextlib.suppress(OSError):  # another may have been quicker, or still has it open
                file.unlink()

    def log_files(self, shell: str) -> tuple[Path, Path]:
        """The newer part of its output, and the older."""
        return self._folder / f"{shell}.output", self._folder / f"{shell}.output.1"

    def keeper_log(self, shell: str) -> Path:
        """What its keeper has to say."""
        return self._folder / f"{shell}.log"

    def lock(self, shell: str) -> KeeperLock:
        return KeeperLock(self._lock(shell))

    @property
    def folder(self) -> Path:
        return self._folder

    def _all(self) -> Iterator[DetachedShell]:
        for file in self._folder.glob("*.json"):
            if (record := self._read(file)) is not None:
                yield record

    def _forget_old(self) -> None:
        """Those that are over and old, or too many."""
        newest = sorted(self._all(), key=lambda record: -record.began_at)
        for index, record in enumerate(newest):
            is_old = index >= MOST_KEPT or time.time() - record.began_at > KEPT_S
            if is_old and not self.lock(record.shell).is_held():
                self.remove(record.shell)

    def _read(self, file: Path) -> DetachedShell | None:
        try:
            return DetachedShell.read(json.loads(file.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):  # not there, or not ours
            return None

    def _write(self, record: DetachedShell) -> None:
        write_whole(self._file(record.shell), json.dumps(asdict(record)).encode())

    def _file(self, shell: str) -> Path:
        return self._folder / f"{shell}.json"

    def _lock(self, shell: str) -> Path:
        return self._folder / f"{shell}.lock"
