"""One local cloud with the real app, its times short: how tests break it, and what they judge it by."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from azure.data.tables import TableServiceClient

from localcloud.stack import LocalCloud
from tests.e2e.http_calls import send
from tests.e2e.people import Person
from tests.e2e.policies import ROOMY
from tests.e2e.waiting import until

SHORT_TIMES = {
    "DEVBOXGPU_LEASE_SECONDS": "5",
    "DEVBOXGPU_RENEW_SECONDS": "1",
    "DEVBOXGPU_WINDOW_SECONDS": "3",
    "DEVBOXGPU_PHASE_LIMIT_SCALE": "0.2",
    "DEVBOXGPU_SHORTEST_MINUTES": "0.01",
    "DEVBOXGPU_DRIVER_GRACE_SECONDS": "2",
    "DEVBOXGPU_REPEAT_WAKE_SECONDS": "1",
}
CALLER = {name: value for name, value in os.environ.items() if not name.startswith("DEVBOXGPU_")}
LOG_LINES = 60
UNFINISHED = "state ne 'Ended' or not (settled eq true) or holds gt 0"


class RunningStack:
    """The local cloud under test."""

    def __init__(self, state: Path) -> None:
        self.state = state
        self.cloud = LocalCloud(state, settings=SHORT_TIMES, environment=CALLER)
        self.is_in_order = False
        """Whether nothing was done with it since it was calm and nothing was left over."""
        self._tokens: dict[str, str] = {}
        self._tables: TableServiceClient | None = None

    # life

    def up(self) -> list[str]:
        return self.cloud.up()

    def kill(self, part: str) -> None:
        self.cloud.kill(part)

    def stop(self, part: str) -> None:
        self.cloud.stop(part)

    @contextmanager
    def frozen(self, part: str) -> Iterator[None]:
        """Let a part stand still for a while: it answers nobody, and nobody is refused."""
        (pid,) = [entry.pid for entry in self.cloud.status() if entry.name == part]
        assert pid is not None
        os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(pid, signal.SIGCONT)

    @contextmanager
    def under(self, **settings: str) -> Iterator[None]:
        """Let the host run with other app settings for a while."""
        others = LocalCloud(self.state, settings=SHORT_TIMES | settings, environment=CALLER)
        others.restart("host")
        try:
            yield
        finally:
            self.cloud.restart("host")

    @property
    def endpoints(self) -> dict[str, str]:
        return self.cloud.endpoints

    # people

    def person(self, name: str, project: str = "demo") -> Person:
        if name not in self._tokens:
            self._tokens[name] = self.cloud.token(name)
        return Person(name, self.endpoints["api"], self._tokens[name], project)

    def bearer_of(self, kind: str, name: str = "alice") -> Person:
        """Return a caller whose token is wrong in one way (`kind`)."""
        answer = send("GET", f"{self.endpoints['identity']}/token?user={name}&kind={kind}")
        return Person(name, self.endpoints["api"], answer.json["access_token"])

    def settings(self, changes: Mapping[str, Any]) -> None:
        """Replace the project's settings by the roomy ones with these changes, as the operator."""
        answer = self.person("olga").persistently("PUT", "gpuSettings", {**ROOMY, **changes}, headers={"If-Match": "*"})
        assert answer.status == 200, answer.text

    # breaking things

    def azure_faults(self, **switches: object) -> None:
        self._handle("PUT", "_faults", switches)

    def cut_connections(self) -> int:
        """Cut every exec connection off without a word, and return how many there were."""
        return int(self._handle("DELETE", "_execs")["cut"])

    def connections(self) -> int:
        """Return how many exec connections are open."""
        return int(self._handle("GET", "_execs")["open"])

    def replica_folder(self, session: str) -> Path:
        """Where a session's replica has its files: its home is `home` in it."""
        names = {path: path.read_text() for path in (self.state / "cloud").glob("**/replica")}
        (name,) = [path for path, replica in names.items() if replica.startswith(f"dbg-{session}-")]
        return name.parent

    def faults_left(self, *switches: str) -> int:
        """Return how many hits the counted switches still have."""
        shown = self._handle("GET", "_faults")
        return sum(shown[name].get("count") or 0 for name in switches)

    def event_grid_faults(self, **switches: object) -> None:
        answer = send("PUT", f"{self.endpoints['eventGrid']}/_faults", switches)
        assert answer.status == 200, answer.text

    def capacity(self, **knobs: object) -> None:
        self._handle("PUT", "_capacity", knobs)

    def _handle(self, method: str, handle: str, body: object = None) -> Any:
        answer = send(method, f"{self.endpoints['arm']}/{handle}", body)
        assert answer.status in (200, 204), answer.text
        return answer.json if answer.text else None

    def engine_faults(self, **switches: object) -> None:
        answer = send("PUT", self._engine("_faults"), switches)
        assert answer.status == 200, answer.text

    def engine_struck(self, switch: str) -> int:
        """Return how often a switch of the engine has struck since it was cleared."""
        return int(send("GET", self._engine("_faults")).json["struck"].get(switch, 0))

    def terminate(self, instance: str) -> None:
        """Ask the engine to terminate an orchestration, as an operator would; the engine may lose it."""
        keys = json.loads((self.state / "host-keys.json").read_text())
        origin = self.endpoints["api"].removesuffix("/api")
        url = f"{origin}/runtime/webhooks/durabletask/instances/{instance}/terminate"
        answer = send("POST", f"{url}?reason=test&code={keys['durabletask_extension']}")
        assert answer.status == 202, answer.text

    def _engine(self, path: str) -> str:
        port = json.loads((self.state / "host-ports.json").read_text())["durable"]
        return f"http://127.0.0.1:{port}/durabletask/{path}"

    def calm(self) -> None:
        """Bring back whatever is down, clear every fault, and let the project have its usual settings."""
        self.up()
        self._handle("DELETE", "_faults")
        self._handle("DELETE", "_capacity")
        send("DELETE", self._engine("_faults"))
        for service in ("devCenter", "eventGrid"):
            send("DELETE", f"{self.endpoints[service]}/_faults")
        self.settings({})

    # what is true

    def truth(self) -> list[dict[str, Any]]:
        """Return every app that ever was, with what really ran of it."""
        apps: list[dict[str, Any]] = self._handle("GET", "_truth")["apps"]
        return apps

    def truth_of(self, app: str) -> list[dict[str, Any]]:
        return [entry for entry in self.truth() if entry["name"] == app]

    def rows(self, first: str, behind: str, which: str = "") -> list[dict[str, Any]]:
        """Return the rows of project `demo` from one key up to another, or those of them that a filter finds."""
        where = "PartitionKey eq 'demo' and RowKey ge @first and RowKey lt @behind"
        return self.table("core", f"{where} and ({which})" if which else where, first=first, behind=behind)

    def table(self, name: str, where: str, **values: str) -> list[dict[str, Any]]:
        """Return the rows that a filter finds, read past the app with the vendor's SDK."""
        if self._tables is None:
            self._tables = TableServiceClient.from_connection_string(self.endpoints["tables"])
        return [dict(row) for row in self._tables.get_table_client(name).query_entities(where, parameters=values)]

    def session_row(self, session: str) -> dict[str, Any]:
        (row,) = self.rows(f"s-{session}", f"s-{session}.")
        return row

    def left_over(self) -> list[str]:
        """Return what is still there that must not be once every session has ended."""
        (ledger,) = self.rows("q", "q.")
        sessions = [
            f"session {row['session']} is {row['state']}, settled {row['settled']}"
            for row in self.rows("s-", "s.", UNFINISHED)
        ]
        apps = [f"app {app['name']} is there" for app in self.truth() if app["alive"] or app["deletedAt"] is None]
        counts = [f"the ledger counts {ledger[kind]}" for kind in ("by_type", "by_user") if ledger[kind] != "{}"]
        line = [f"{row['session']} waits in line" for row in self.rows("w-", "w.")]
        line += [f"the ledger counts {ledger['waiting']} in line"] if ledger["waiting"] else []
        return sessions + apps + counts + line

    def nothing_left(self) -> None:
        """Wait until no app, no reservation and no unfinished session is left; fail naming what is."""
        left: list[str] = ["nothing was looked at"]

        def clean() -> bool:
            left[:] = self.left_over()
            return not left

        try:
            until(clean, "nothing to be left over", every_s=0.2)
        except AssertionError as failure:
            raise AssertionError(f"left over: {left}") from failure

    def account(self) -> str:
        """Return what a person needs to see why a test failed: unfinished sessions, faults, the host's last lines."""
        rows = self.rows("s-", "s.", UNFINISHED)
        log = (self.state / "logs" / "host.log").read_text().splitlines()
        told = [line for line in log if "GetShell" not in line and "keep_house" not in line]
        return "\n".join([*map(str, rows), *self.left_over(), *told[-LOG_LINES:]])

    def sweep_away(self) -> None:
        """End every session, so that a failed test does not take the next ones with it."""
        operator = self.person("olga")
        for row in self.rows("s-", "s.", UNFINISHED):
            if row["state"] != "Ended":
                operator.persistently("POST", f"sessions/{row['session']}/stop")
