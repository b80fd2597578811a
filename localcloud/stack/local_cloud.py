"""Starts, shows and ends a local cloud: the one door for the command line, for tests and for benchmarks."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from localcloud.stack import parts, preparation
from localcloud.stack.addresses import Addresses, all_free, demand_free, kept_addresses
from localcloud.stack.parts import Part, parts_of
from localcloud.stack.problem import StackProblemError
from localcloud.stack.processes import ProcessTable, end, is_alive, log_tail, wait_until
from localcloud.stack.state_folder import ROOT, StateFolder, read_json, write_json

START_PATIENCE_S = 60.0
KILL_PATIENCE_S = 10.0
# A process that has just been killed by somebody else may hold its ports for a moment.
PORT_PATIENCE_S = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class PartStatus:
    """How one process does: running, not answering, died, or stopped."""

    name: str
    state: str
    pid: int | None
    ports: Mapping[str, int]
    log: str


class LocalCloud:
    """One local cloud, known by its state folder.

    `settings` are added to the environment of the functions host and win over everything else there; a running host
    keeps those with which it was started. Every method that changes something waits for whoever else does.
    """

    def __init__(
        self,
        state: Path,
        app: Path = ROOT,
        settings: Mapping[str, str] | None = None,
        *,
        environment: Mapping[str, str] = os.environ,
        with_host: bool = True,
    ) -> None:
        self._state = StateFolder(state)
        self._app = app.resolve()
        self._settings = dict(settings or {})
        self._environment = dict(environment)
        self._names = parts.NAMES if with_host else (parts.AZURITE, parts.CLOUD)

    @property
    def state(self) -> Path:
        return self._state.path

    @property
    def endpoints(self) -> dict[str, str]:
        """Where everything is, as `endpoints.json` says it; raises StackProblemError while the cloud is down."""
        kept = read_json(self._state.endpoints)
        if kept is None:
            raise StackProblemError(f"the local cloud of {self._state.path} is not up; run `make up`")
        return {name: str(value) for name, value in kept.items()}

    def up(self) -> list[str]:
        """Start what does not run, wait until all is ready, and return the names of what was started."""
        with self._state.locked():
            addresses = kept_addresses(self._state)
            table = ProcessTable(self._state)
            wanted = self._parts(addresses)
            missing = [part for part in wanted if table.living(part.name) is None]
            self._start(missing, addresses, table)
            for part in wanted:
                self._await_ready(part, table)
            if missing or not self._state.endpoints.exists():
                write_json(self._state.endpoints, addresses.endpoints())
            self._prepare(addresses, table)
            return [part.name for part in missing]

    def down(self) -> list[str]:
        """End everything, replicas included, and return the names of what had been running."""
        with self._state.locked():
            return self._down(ProcessTable(self._state))

    def clean(self) -> None:
        """End everything and delete the state folder; refuses a folder that holds no local cloud."""
        if not self._state.path.exists():
            return
        with self._state.locked():
            if any(self._state.path.iterdir()) and not self._is_ours():
                raise StackProblemError(f"{self._state.path} holds no local cloud; it is left as it is")
            self._down(ProcessTable(self._state))
            shutil.rmtree(self._state.path)

    def status(self) -> list[PartStatus]:
        """Look at each process; changes nothing."""
        if not self._is_ours():
            return [PartStatus(name=name, state="stopped", pid=None, ports={}, log="") for name in self._names]
        addresses = kept_addresses(self._state)
        table = ProcessTable(self._state)
        return [self._status_of(part, addresses, table) for part in self._parts(addresses)]

    def kill(self, name: str) -> None:
        """End one process at once, as a crash would."""
        self._end_one(name, signal.SIGKILL, KILL_PATIENCE_S)

    def stop(self, name: str) -> None:
        """End one process in good order."""
        self._end_one(name, signal.SIGTERM, self._part(name).patience_s)

    def restart(self, name: str) -> None:
        """End one process in good order, start it and whatever else is down, and wait until all is ready."""
        self.stop(name)
        self.up()

    def token(self, user: str) -> str:
        return preparation.token_of(kept_addresses(self._state), user)

    def _parts(self, addresses: Addresses) -> list[Part]:
        known = parts_of(self._state, addresses, app=self._app, caller=self._environment, overrides=self._settings)
        return [known[name] for name in self._names]

    def _part(self, name: str) -> Part:
        known = {part.name: part for part in self._parts(kept_addresses(self._state))}
        if name not in known:
            raise StackProblemError(f"there is no part {name!r}; there are {', '.join(known)}")
        return known[name]

    def _start(self, missing: Sequence[Part], addresses: Addresses, table: ProcessTable) -> None:
        services = [service for part in missing for service in part.services]
        wait_until(lambda: all_free(addresses, services), patience_s=PORT_PATIENCE_S)
        demand_free(self._state, addresses, services)
        commands = {part.name: part.command() for part in missing}
        for part in missing:
            table.start(part.name, commands[part.name], environment=part.environment, folder=ROOT)

    def _await_ready(self, part: Part, table: ProcessTable) -> None:
        mark = table.mark(part.name)
        ready = wait_until(lambda: part.is_ready() or not (mark and is_alive(mark)), patience_s=START_PATIENCE_S)
        if ready and mark and is_alive(mark):
            return
        log = self._state.log_of(part.name)
        what = f"does not answer after {START_PATIENCE_S:.0f} s" if not ready else "ended while it was starting"
        raise StackProblemError(f"{part.name} {what}. The end of {log}:\n{log_tail(log)}")

    def _prepare(self, addresses: Addresses, table: ProcessTable) -> None:
        """Prepare once for each pair of running host and cloud; nothing to do where there is no host."""
        if parts.HOST not in self._names:
            return
        running = {name: asdict(mark) for name in (parts.CLOUD, parts.HOST) if (mark := table.mark(name))}
        if read_json(self._state.prepared) != running:
            preparation.prepare(self._state, addresses)
            write_json(self._state.prepared, running)

    def _down(self, table: ProcessTable) -> list[str]:
        was_running = [name for name in parts.NAMES if table.living(name)]
        if was_running or self._state.ports.exists():
            known = parts_of(
                self._state,
                kept_addresses(self._state),
                app=self._app,
                caller=self._environment,
                overrides=self._settings,
            )
            self._end_part(known[parts.HOST], table)
            self._end_part(known[parts.CLOUD], table)
            self._end_replicas()
            self._end_part(known[parts.AZURITE], table)
        self._state.endpoints.unlink(missing_ok=True)
        return was_running

    def _end_replicas(self) -> None:
        """End what a killed cloud left running; one that was asked to end has ended its replicas itself."""
        from localcloud.container_apps import end_replicas, replicas_root

        end_replicas(replicas_root(self._state.container_apps))

    def _end_part(self, part: Part, table: ProcessTable) -> None:
        mark = table.mark(part.name)
        if mark is None:
            return
        gone = end(mark, patience_s=part.patience_s)
        if not gone and part.may_be_killed:
            gone = end(mark, patience_s=KILL_PATIENCE_S, signal_number=signal.SIGKILL)
        if not gone:
            raise StackProblemError(
                f"{part.name} (process {mark.pid}) did not end within {part.patience_s:.0f} s of being asked.\n"
                f"Look at {self._state.log_of(part.name)}; `kill -9 {mark.pid}` loses what it has not written yet."
            )
        table.forget(part.name)

    def _end_one(self, name: str, signal_number: int, patience_s: float) -> None:
        self._part(name)
        with self._state.locked():
            table = ProcessTable(self._state)
            mark = table.mark(name)
            if mark and not end(mark, patience_s=patience_s, signal_number=signal_number):
                raise StackProblemError(f"{name} (process {mark.pid}) did not end within {patience_s:.0f} s")
            if signal_number == signal.SIGTERM:
                table.forget(name)

    def _status_of(self, part: Part, addresses: Addresses, table: ProcessTable) -> PartStatus:
        mark = table.mark(part.name)
        alive = mark is not None and is_alive(mark)
        if mark is None:
            state = "stopped"
        elif not alive:
            state = "died"
        else:
            state = "running" if _is_ready(part) else "not answering"
        return PartStatus(
            name=part.name,
            state=state,
            pid=mark.pid if mark and alive else None,
            ports={service: getattr(addresses, service) for service in part.services},
            log=str(self._state.log_of(part.name)),
        )

    def _is_ours(self) -> bool:
        return self._state.ports.exists()


def _is_ready(part: Part) -> bool:
    """Tell whether the part serves; one that says why it cannot does not."""
    try:
        return part.is_ready()
    except StackProblemError:
        return False
