"""Stand-ins with behaviour for everything that the control plane needs of the world, on a clock that tests move."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec

from shared.domain.access import Caller
from shared.domain.governance import Governance
from shared.domain.measures import Measure, Metric
from shared.domain.names import ProjectId, SessionId, UserId
from shared.domain.pricing import GpuType, PriceSource, Rate
from shared.domain.provisioning import AppCondition, AppSeen, Failure
from shared.domain.reconciliation import Actual
from shared.domain.records import OutboxRow
from shared.domain.sweeping import ListedApp
from shared.ports.actual_cost import CostUnknown
from shared.ports.container_apps import (
    Accepted,
    AppPage,
    AppSpec,
    ArmUnknown,
    Gone,
    GpuProved,
    Later,
    NoGpu,
    NotYet,
    WayIn,
)
from shared.ports.entitlement import EntitlementUnknown
from shared.ports.environments import EnvironmentFacts, EnvironmentUnknown
from shared.ports.event_topic import EventRefused, TopicUnavailable
from shared.ports.governance import GovernanceUnknown
from shared.ports.rows import from_entity, to_entity
from shared.ports.tables import Change, Delete, Insert, StorageUnavailable, Stored, Update
from shared.ports.telemetry import Span
from shared.ports.tokens import TokenRefused

USERS = {
    "alice": UserId("a0000000-0000-4000-8000-000000000001"),
    "bob": UserId("b0000000-0000-4000-8000-000000000002"),
    "carol": UserId("c0000000-0000-4000-8000-000000000003"),
    "dave": UserId("d0000000-0000-4000-8000-000000000004"),
    "erin": UserId("e0000000-0000-4000-8000-000000000005"),
    "olga": UserId("f0000000-0000-4000-8000-000000000006"),
}


APPEND_ONLY = ("audit", "seals")
"""Where the app's role in Azure may add and read, but not change or remove (docs/security-limits-and-audit.md)."""


class Crashed(Exception):
    """The process died at this write: what follows in the same step never runs."""


class MemoryTables:
    """Tables in memory, with ETags, transactions, and faults at a chosen write."""

    def __init__(self) -> None:
        self._rows: dict[tuple[str, str, str], tuple[dict[str, Any], str]] = {}
        self._etags = itertools.count(1)
        self._lock = threading.RLock()
        self.commits = 0
        self.crash_at: tuple[int, str] | None = None
        self.away = False

    def read(self, table: str, partition: str, key: str, kind: Any) -> Any:
        self._answer()
        with self._lock:
            found = self._rows.get((table, partition, key))
        return Stored(key, from_entity(found[0], kind), found[1]) if found else None

    def scan(
        self, table: str, partition: str, keys: tuple[str, str], kind: Any, *, most: int | None = None
    ) -> list[Any]:
        return [stored for _, stored in self._scan(table, partition, keys, kind, None)][:most]

    def scan_all(
        self, table: str, keys: tuple[str, str], kind: Any, *, where: tuple[str, bool] | None = None
    ) -> list[tuple[str, Any]]:
        return self._scan(table, None, keys, kind, where)

    def _scan(
        self, table: str, partition: str | None, keys: tuple[str, str], kind: Any, where: tuple[str, bool] | None
    ) -> list[tuple[str, Any]]:
        self._answer()
        with self._lock:
            found = sorted(
                (place, value)
                for place, value in self._rows.items()
                if place[0] == table
                and partition in (None, place[1])
                and keys[0] <= place[2] < keys[1]
                and (where is None or value[0].get(where[0]) == where[1])
            )
        return [(place[1], Stored(place[2], from_entity(row, kind), etag)) for place, (row, etag) in found]

    def commit(self, table: str, partition: str, changes: Sequence[Change]) -> bool:
        self._answer()
        with self._lock:
            self.commits += 1
            when = self.crash_at[1] if self.crash_at and self.crash_at[0] == self.commits else None
            if when == "before":
                raise Crashed(f"before write {self.commits}")
            done = self._apply(table, partition, changes)
            if when == "after":
                raise Crashed(f"after write {self.commits}")
            return done

    def update(self, table: str, partition: str, change: Update) -> str | None:
        if not self.commit(table, partition, [change]):
            return None
        return self._rows[(table, partition, change.key)][1]

    def _apply(self, table: str, partition: str, changes: Sequence[Change]) -> bool:
        keys = [change.key for change in changes]
        assert len(set(keys)) == len(keys), f"one row twice in a transaction: {keys}"
        assert len(changes) <= 100
        if table in APPEND_ONLY:
            assert all(isinstance(change, Insert) for change in changes), f"{table} is append-only"
        for change in changes:
            present = self._rows.get((table, partition, change.key))
            if isinstance(change, Insert) is (present is not None):
                return False
            if not isinstance(change, Insert) and present is not None and change.etag not in (present[1], "*"):
                return False
        for change in changes:
            place = (table, partition, change.key)
            if isinstance(change, Delete):
                del self._rows[place]
            else:
                before = self._rows[place][0] if place in self._rows else {}
                self._rows[place] = ({**before, **to_entity(change.row)}, f"e{next(self._etags)}")
        return True

    def _answer(self) -> None:
        if self.away:
            raise StorageUnavailable("storage is away")

    def rows(self, table: str, prefix: str, kind: Any) -> list[Any]:
        """Return the rows of a table whose keys begin so, in every partition."""
        with self._lock:
            found = [
                row
                for place, (row, _) in sorted(self._rows.items())
                if place[0] == table and place[2].startswith(prefix)
            ]
        return [from_entity(row, kind) for row in found]


@dataclass(slots=True)
class FakeApp:
    spec: AppSpec
    created_at: datetime
    looks: int = 0
    deleting_until: datetime | None = None


@dataclass(slots=True)
class FakeAzure:
    """Container apps that come up after so many looks; each switch is a fault of reference/azure.md section 9."""

    now: Callable[[], datetime]
    stages: tuple[AppCondition, ...] = (AppCondition.CREATING, AppCondition.NO_REPLICA, AppCondition.RUNNING)
    apps: dict[str, FakeApp] = field(default_factory=dict)
    history: list[tuple[str, datetime, datetime | None]] = field(default_factory=list)
    later: list[Later] = field(default_factory=list)
    delete_later: list[Later] = field(default_factory=list)
    unknown_looks: int = 0
    rejection: Failure | None = None
    proofs: list[Any] = field(default_factory=list)
    delete_takes: timedelta = timedelta(seconds=3)
    fails_with: str | None = None
    system_log: str = ""
    no_gpu_in: frozenset[tuple[str, str]] = frozenset()
    puts: int = 0
    page_size: int = 20
    list_fails_on_page: int | None = None
    listings: int = 0
    tokens_issued: int = 0

    def create(self, spec: AppSpec) -> Accepted | Later | Failure:
        self.puts += 1
        if self.later:
            return self.later.pop(0)
        if self.rejection is not None:
            return self.rejection
        if spec.name not in self.apps:
            self.apps[spec.name] = FakeApp(spec, self.now())
            self.history.append((spec.name, self.now(), None))
        return Accepted()

    def look(self, app: str) -> AppSeen | Gone:
        if self.unknown_looks:
            self.unknown_looks -= 1
            raise ArmUnknown("503 html", retry_after_s=2)
        found = self._find(app)
        if found is None:
            return Gone()
        if self.fails_with is not None:
            return AppSeen(condition=AppCondition.FAILED, detail=self.fails_with)
        found.looks += 1
        condition = self.stages[min(found.looks, len(self.stages)) - 1]
        if (found.spec.region, found.spec.profile) in self.no_gpu_in and condition is not AppCondition.CREATING:
            condition = AppCondition.NO_REPLICA
        up = condition in (AppCondition.PULLING, AppCondition.STARTING, AppCondition.RUNNING)
        return AppSeen(condition=condition, replica_started_at=found.created_at if up else None)

    def delete(self, app: str) -> Accepted | Gone | Later:
        if self.delete_later:
            return self.delete_later.pop(0)
        found = self._find(app)
        if found is None:
            return Gone()
        if found.deleting_until is None:
            found.deleting_until = self.now() + self.delete_takes
        return Accepted()

    def list_apps(self, platform: str, page: str | None = None) -> AppPage:
        number = int(page or 1)
        self.listings += 1
        if number == self.list_fails_on_page:
            raise ArmUnknown("500 while listing", retry_after_s=2)
        ours = [
            app
            for name in sorted(self.apps)
            if (app := self._find(name)) is not None and app.spec.tags.get("devboxgpu-control-plane") == platform
        ]
        shown = ours[(number - 1) * self.page_size : number * self.page_size]
        listed = [
            ListedApp(
                name=app.spec.name,
                project=app.spec.tags.get("devboxgpu-project"),
                created_at=app.created_at,
                deleting=app.deleting_until is not None,
            )
            for app in shown
        ]
        return AppPage(listed, str(number + 1) if len(ours) > number * self.page_size else None)

    def surely_gone(self, app: str, environment_id: str) -> bool:
        if self.unknown_looks:
            self.unknown_looks -= 1
            raise ArmUnknown("403", retry_after_s=2)
        assert environment_id.startswith("/environments/")
        return self._find(app) is None

    def way_in(self, app: str) -> WayIn | NotYet:
        if self._find(app) is None:
            return NotYet("gone")
        self.tokens_issued += 1
        return WayIn(exec_url=f"ws://127.0.0.1:1/{app}/exec", token=f"canary-token-{app}", expires_at=self.now())

    def prove_gpu(self, app: str, exec_url: str | None) -> GpuProved | NoGpu | NotYet:
        return self.proofs.pop(0) if self.proofs else GpuProved("GPU 0: Tesla T4")

    def troubles(self, app: str) -> str:
        return self.system_log

    def vanish(self, app: str) -> None:
        """Delete an app behind the control plane's back."""
        self._remove(app)

    def there(self) -> list[str]:
        """Return the names of the apps that there are now."""
        return [name for name in sorted(self.apps) if self._find(name) is not None]

    def _find(self, app: str) -> FakeApp | None:
        found = self.apps.get(app)
        if found is not None and found.deleting_until is not None and found.deleting_until <= self.now():
            self._remove(app)
            return None
        return found

    def _remove(self, app: str) -> None:
        del self.apps[app]
        at = next(i for i in reversed(range(len(self.history))) if self.history[i][0] == app)
        self.history[at] = (*self.history[at][:2], self.now())


ROOMY = EnvironmentFacts(has_virtual_network=False, free={GpuType.T4: 100, GpuType.A100: 20})


class FakeEnvironments:
    """Environments with room for everything, but for those that a test sets; none answers while `away`."""

    def __init__(self) -> None:
        self.by_id: dict[str, EnvironmentFacts] = {}
        self.away = False
        self._seen: dict[str, EnvironmentFacts] = {}

    def facts(self, environment_id: str) -> EnvironmentFacts:
        if self.away:
            raise EnvironmentUnknown("503 html")
        self._seen[environment_id] = self.by_id.get(environment_id, ROOMY)
        return self._seen[environment_id]

    def known(self, environment_id: str) -> EnvironmentFacts | None:
        return self._seen.get(environment_id)

    def outdate(self, environment_id: str) -> None:
        """Facts are asked anew each time here."""


class FakeGovernance:
    """Dev Center's bounds by project; none where a test sets none, and no answer while `away`."""

    def __init__(self) -> None:
        self.told: dict[str, Governance] = {}
        self.away = False

    def bounds(self, project: ProjectId) -> Governance:
        if self.away:
            raise GovernanceUnknown("503 html")
        return self.told.get(project, Governance())


class FakePrices:
    def __init__(self) -> None:
        self.knows = True
        self.source = PriceSource.RETAIL
        self.by_type: dict[GpuType, Decimal] = {}
        self.unknown_in: frozenset[str] = frozenset()

    def rate(self, region: str, gpu_type: GpuType) -> Rate | None:
        amount = self.by_type.get(gpu_type, Decimal("0.000433"))
        rate = Rate(amount_per_second=amount, currency="USD", source=self.source)
        return rate if self.knows and region not in self.unknown_in else None

    known = rate


class FakeActualCost:
    """A bill that tests write; none is known while `away`."""

    def __init__(self) -> None:
        self.billed: dict[SessionId, Actual] = {}
        self.away = False

    def by_session(self, project: ProjectId, first: date, last: date) -> dict[SessionId, Actual]:
        if self.away:
            raise CostUnknown("429", retry_after_s=12.5)
        return dict(self.billed)


class FakeEntitlement:
    """Dev Boxes of made-up users, as in DESIGN.md section 10; no answer while `away`."""

    def __init__(self) -> None:
        self.boxes = {
            ("demo", USERS["alice"]),
            ("demo", USERS["bob"]),
            ("demo", USERS["carol"]),
            ("other", USERS["erin"]),
        }
        self.administrators = {("demo", USERS["carol"])}
        self.projects = {"demo", "other"}
        self.asked = 0
        self.away = False

    @property
    def trouble(self) -> str | None:
        return "503 html" if self.away else None

    def _answer(self) -> None:
        self.asked += 1
        if self.away:
            raise EntitlementUnknown("503 html")

    def is_member(self, project: ProjectId, user: UserId) -> bool:
        self._answer()
        return (project, user) in self.boxes

    def is_administrator(self, project: ProjectId, user: UserId) -> bool:
        self._answer()
        return (project, user) in self.administrators

    def projects_of(self, user: UserId) -> list[ProjectId]:
        self._answer()
        return sorted({ProjectId(project) for project, owner in self.boxes if owner == user})

    def all_projects(self) -> list[ProjectId]:
        self._answer()
        return [ProjectId(project) for project in sorted(self.projects)]


class FakeTopic:
    """A topic that takes events, but for those that a test has it refuse (`refuses`) or leave unanswered (`away`)."""

    def __init__(self) -> None:
        self.published: list[tuple[ProjectId, str, OutboxRow]] = []
        self.away = False
        self.refuses: Callable[[OutboxRow], bool] = lambda _: False
        self.chokes_on: Callable[[OutboxRow], bool] = lambda _: False
        self.calls = 0

    def publish(self, events: Sequence[tuple[ProjectId, str, OutboxRow]]) -> None:
        self.calls += 1
        if self.away or any(self.chokes_on(row) for _, _, row in events):
            raise TopicUnavailable("503")
        if any(self.refuses(row) for _, _, row in events):
            raise EventRefused("400")
        self.published += [(project, event_id, msgspec.structs.replace(row)) for project, event_id, row in events]


class KeptTelemetry:
    """Telemetry that stays here, for tests to look at."""

    def __init__(self) -> None:
        self.spans: list[Span] = []
        self.measures: list[Measure] = []

    def span(self, span: Span) -> None:
        self.spans.append(span)

    def measure(self, measures: Iterable[Measure]) -> None:
        self.measures += measures

    def sum_of(self, metric: Metric, **words: str) -> float:
        """Return what was added up, or last stood, under these words (a metric's other words are left open)."""
        found = [
            one.value for one in self.measures if one.metric is metric and words.items() <= dict(one.words).items()
        ]
        return found[-1] if metric in (Metric.SESSIONS, Metric.LINE_LENGTH) else sum(found)


class NamedTokens:
    """A token is a user's name: whether tokens are told apart from forgeries is tested with the real validator."""

    def caller(self, token: str) -> Caller:
        if token not in USERS:
            raise TokenRefused("the token is malformed or its signature is wrong")
        roles = frozenset({"Gpu.Operator"}) if token == "olga" else frozenset()
        return Caller(user=USERS[token], tenant="t", name=f"{token}@demo.example", roles=roles)
