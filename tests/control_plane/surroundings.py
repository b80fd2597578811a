"""A process of the control plane among fakes, however its sessions are driven: its ports, its requests, its checks."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import azure.functions as func

from activities import admission, holding, provisioning, settlement, stopping, waiting
from api.operations import API_VERSION, OPERATIONS, Operation
from shared.domain.names import OUTBOX_EVENTS, ProjectId
from shared.domain.placement import Outlook
from shared.domain.records import LedgerRow, OutboxRow, SessionRow, ShellRow, WaitRow, WakeRow
from shared.domain.settings import GpuSettings
from shared.domain.steps import Step
from shared.ports.capacity_memory import CapacityMemory
from shared.ports.sessions import Sessions
from shared.ports.settings import parse
from shared.ports.world import World, outlook_of
from tests.control_plane.fair_order import violations
from tests.control_plane.fakes import (
    FakeActualCost,
    FakeAzure,
    FakeEntitlement,
    FakeEnvironments,
    FakeGovernance,
    FakePrices,
    FakeTopic,
    KeptTelemetry,
    MemoryTables,
    NamedTokens,
)

START = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
ENVIRONMENT = {
    "DEVBOXGPU_SUBSCRIPTION_ID": "sub",
    "DEVBOXGPU_RESOURCE_GROUP": "group",
    "DEVBOXGPU_ENVIRONMENTS": '{"westus3": "/environments/one", "swedencentral": "/environments/two"}',
    "DEVBOXGPU_TOKEN_ISSUER": "issuer",
    "DEVBOXGPU_TOKEN_AUDIENCE": "audience",
    "DEVBOXGPU_TOKEN_JWKS_URL": "http://127.0.0.1:1/keys",
    "DEVBOXGPU_TENANT_IDS": "t",
    "DEVBOXGPU_DEV_CENTER_ENDPOINT": "http://127.0.0.1:1",
    "DEVBOXGPU_TABLES_CONNECTION": "unused",
    # virtual time stands still while a test calls: limits have tests of their own (test_limits.py)
    "DEVBOXGPU_USER_REQUESTS_PER_MINUTE": "1000000",
    "DEVBOXGPU_USER_OPENINGS_PER_MINUTE": "1000000",
    "DEVBOXGPU_PROJECT_REQUESTS_PER_MINUTE": "10000000",
}
STEPS = {
    Step.ADMIT: admission.admit_session,
    Step.WAIT: waiting.wait_in_line,
    Step.CREATE: provisioning.create_app,
    Step.LOOK: provisioning.look_at_app,
    Step.TEND: holding.tend_session,
    Step.REMOVE: stopping.remove_app,
    Step.SETTLE: settlement.settle_session,
}
BY_NAME = {operation.name: operation for operation in OPERATIONS}


def request_for(
    who: str | None,
    name: str,
    body: Any = None,
    *,
    headers: dict[str, str] | None = None,
    query: dict[str, str] | None = None,
    **parts: str,
) -> tuple[Operation, func.HttpRequest]:
    """Return an operation and a request for it as this user sends it."""
    operation = BY_NAME[name]
    parts = {"project": "demo", **parts}
    if "{user}" in operation.route:
        parts.setdefault("user", "me")
    route = {name: value for name, value in parts.items() if f"{{{name}}}" in operation.route}
    signed = {"authorization": f"Bearer {who}"} if who else {}
    params = {"api-version": API_VERSION} if operation.versioned else {}
    raw = body if isinstance(body, bytes) else (b"" if body is None else json.dumps(body).encode())
    request = func.HttpRequest(
        operation.method,
        "http://127.0.0.1/api/" + operation.route.format(**route),
        headers={**signed, **(headers or {})},
        params={**params, **(query or {})},
        route_params=route,
        body=raw,
    )
    return operation, request


class Surroundings:
    """Fakes of all that the control plane needs, and one process of it."""

    def __init__(self, now: Callable[[], datetime], tables: MemoryTables, **settings: str) -> None:
        self.now, self.tables = now, tables
        self.azure, self.topic = FakeAzure(now), FakeTopic()
        self.entitlement, self.prices = FakeEntitlement(), FakePrices()
        self.governance, self.environments = FakeGovernance(), FakeEnvironments()
        self.actual_cost = FakeActualCost()
        self.telemetry = KeptTelemetry()
        self.highest_cap = 0
        self._settings = parse({**ENVIRONMENT, **settings})
        self.start_process()

    def start_process(self) -> None:
        """Begin with nothing in memory but what storage holds."""
        self.memory = CapacityMemory(self.tables, self.now)
        self.world = World(
            settings=self._settings,
            sessions=Sessions(self.tables, self.now, self._outlook),
            memory=self.memory,
            apps=self.azure,
            environments=self.environments,
            entitlement=self.entitlement,
            governance=self.governance,
            prices=self.prices,
            topic=self.topic,
            tokens=NamedTokens(),
            now=self.now,
            actual_cost=self.actual_cost,
            telemetry=self.telemetry,
        )

    def over(self, tables: MemoryTables) -> None:
        """Go on over these tables, with nothing in memory."""
        self.tables = tables
        self.start_process()

    def _outlook(self, settings: GpuSettings) -> Outlook:
        return outlook_of(settings, self._settings, self.environments, self.memory, self.prices)

    def session(self, session: str) -> SessionRow:
        return next(row for row in self.tables.rows("core", "s-", SessionRow) if row.session == session)

    def shell_row(self, shell: str = "shell-one") -> ShellRow:
        return next(row for row in self.tables.rows("core", "h-", ShellRow) if row.shell == shell)

    def wakes(self) -> list[WakeRow]:
        return list(self.tables.rows("core", "o-w-", WakeRow))

    def reserved(self, project: str = "demo") -> int:
        stored = self.world.sessions.ledger(ProjectId(project))
        assert stored is not None
        row: LedgerRow = stored.row
        assert sum(row.by_type.values()) == sum(row.by_user.values())
        return sum(row.by_type.values())

    def check_invariants(self) -> None:
        """I1, I3, I4, I5, I8, I9 from the rows and the truth, never from return codes."""
        sessions = self.tables.rows("core", "s-", SessionRow)
        assert self.reserved() == sum(row.holds for row in sessions if row.project == "demo")
        for row in sessions:
            assert row.holds == (1 if row.state in ("Provisioning", "Running", "Stopping") else 0)
        seats = [(row.project, row.user, shell) for row in sessions for shell in row.shells]
        assert len(seats) == len(set(seats)), "a shell is in two sessions"
        waiting = {row.session for row in sessions if row.state == "Waiting"}
        line = self.tables.rows("core", "w-", WaitRow)
        assert {row.session for row in line} == waiting, "the line and the sessions that wait are not the same"
        ledger = self.world.sessions.ledger(ProjectId("demo")).row
        assert ledger.waiting == len(line), "the ledger counts another line than there is"
        cap = self.world.sessions.settings(ProjectId("demo")).row.settings.project_cap
        assert self.reserved() <= max(cap, self.highest_cap), "more reserved than any cap has allowed"
        for name in {name for name, _, _ in self.azure.history}:
            lives = sorted((begun, ended) for other, begun, ended in self.azure.history if other == name)
            for (_, ended), (begun, _) in itertools.pairwise(lives):
                assert ended is not None, "two apps of one session"
                assert ended <= begun, "two apps of one session"
        holding_apps = {f"dbg-{row.session}" for row in sessions if row.holds}
        assert set(self.azure.there()) <= holding_apps, "an app without a session that holds it"
        stopped_idle = {row.session: row.stopping_at for row in sessions if row.end_reason == "Idle"}
        for shell in self.tables.rows("core", "h-", ShellRow):
            stopped_at = stopped_idle.get(shell.session)
            if stopped_at is not None and shell.closed_at is None and shell.busy_until is not None:
                assert shell.busy_until <= stopped_at, "stopped as idle, and it was busy when it was last heard"

    def check_nothing_left(self) -> None:
        """Every session Ended and settled, no app, no reservation, no wake-up, and all in the order that is fair."""
        self.check_invariants()
        self.check_fair_order()
        assert all(row.finished for row in self.tables.rows("core", "s-", SessionRow))
        assert self.azure.there() == []
        assert self.reserved() == 0

    def audit(self) -> list[OutboxRow]:
        """Return all audit entries of the project, those that wait in the outbox included."""
        kept = self.tables.scan_all("audit", OUTBOX_EVENTS, OutboxRow)
        waiting = self.tables.scan_all("core", OUTBOX_EVENTS, OutboxRow)
        found = {stored.key: stored.row for partition, stored in [*kept, *waiting] if partition.startswith("demo")}
        return [found[key] for key in sorted(found)]

    def check_fair_order(self) -> None:
        """I1, I15, I21, I22 for all that has ever happened, from the audit alone."""
        found = violations(self.audit())
        assert not found, "; ".join(map(str, found))
