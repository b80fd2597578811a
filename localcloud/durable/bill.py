"""What the steps of an app would cost on the vendor's engine, in storage transactions (durable-measured.md 2).

Each step is booked in the very commit that makes it, so that the bill is exact after a crash too; reckoning it from
histories would lose what `continue_as_new` and purge take away. Reads commit nothing: they wait in memory for the next
commit, and those of the last moment before a crash are lost. A purge moves an instance's lines to the function's own.
Polling and leases are the app's, not a step's, and are left out.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

Statement = tuple[str, Sequence[Any]]
SCHEMA = (
    "CREATE TABLE IF NOT EXISTS bill (instance_id TEXT NOT NULL, function TEXT NOT NULL, step TEXT NOT NULL,"
    " times INTEGER NOT NULL, PRIMARY KEY (instance_id, function, step)) WITHOUT ROWID"
)
_BOOK = (
    "INSERT INTO bill VALUES (?, ?, ?, ?)"
    " ON CONFLICT (instance_id, function, step) DO UPDATE SET times = times + excluded.times"
)
_KEEP_FOR_FUNCTION = (
    "INSERT INTO bill SELECT '', function, step, times FROM bill WHERE instance_id = ?"
    " ON CONFLICT (instance_id, function, step) DO UPDATE SET times = times + excluded.times"
)
_MOST_INSTANCES = 100


class Step(StrEnum):
    """What is booked."""

    START = "start and completion"
    ACTIVITY = "activity"
    TIMER = "timer"
    STALE_TIMER = "stale timer"
    EVENT = "event"
    READ = "status or refused event"
    TERMINATE = "terminate"
    PURGE = "purge"
    CONTROL = "suspend, resume or rewind"
    CHILD = "sub-orchestration's answer"
    ENTITY = "entity message"


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """Transactions of one step; one that is not `measured` was reckoned from its like."""

    queue: int = 0
    table: int = 0
    blob: int = 0
    measured: bool = True

    def times(self, number: int) -> dict[str, int]:
        parts = {"queue": self.queue * number, "table": self.table * number, "blob": self.blob * number}
        return {**parts, "all": sum(parts.values())}


PRICES: Mapping[Step, Price] = {
    Step.START: Price(queue=2, table=6),
    Step.ACTIVITY: Price(queue=4, table=3),
    Step.TIMER: Price(queue=2, table=3),
    Step.STALE_TIMER: Price(queue=7, table=6),
    Step.EVENT: Price(queue=2, table=5),
    Step.READ: Price(table=1),
    Step.TERMINATE: Price(queue=2, table=5),
    Step.PURGE: Price(table=5, blob=1),
    Step.CONTROL: Price(queue=2, table=5, measured=False),
    Step.CHILD: Price(queue=2, table=3, measured=False),
    Step.ENTITY: Price(queue=2, table=5, measured=False),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """So many steps of one kind by one instance in one function; no instance stands for all that were purged."""

    instance_id: str
    function: str
    step: Step
    times: int


def booked(instance_id: str, function: str, step: Step, times: int = 1) -> Statement:
    """The statement that adds to a line."""
    return _BOOK, (instance_id, function, step.value, times)


def kept_for_function(instance_id: str) -> list[Statement]:
    """The statements that move a purged instance's lines to its functions."""
    return [(_KEEP_FOR_FUNCTION, (instance_id,)), ("DELETE FROM bill WHERE instance_id = ?", (instance_id,))]


class Reads:
    """Reads that no commit has booked yet."""

    def __init__(self) -> None:
        self._waiting: Counter[tuple[str, str]] = Counter()

    def note(self, instance_id: str, function: str) -> None:
        self._waiting[instance_id, function] += 1

    def take(self) -> list[Statement]:
        """The statements that book all of them; they are the taker's from now on."""
        waiting, self._waiting = self._waiting, Counter()
        return [booked(instance, function, Step.READ, times) for (instance, function), times in waiting.items()]

    def lines(self) -> list[Line]:
        return [
            Line(instance_id=instance, function=function, step=Step.READ, times=times)
            for (instance, function), times in self._waiting.items()
        ]


def bill_view(lines: Iterable[Line], instance_id: str | None) -> dict[str, Any]:
    """The bill as it is answered: of one instance, or of all, the dearest instances first."""
    wanted = [line for line in lines if instance_id is None or line.instance_id == instance_id]
    by_instance = {key: _sum(of) for key, of in _grouped(wanted, lambda line: line.instance_id).items() if key}
    dearest = sorted(by_instance, key=lambda key: (-by_instance[key]["all"], key))[:_MOST_INSTANCES]
    return {
        "unit": "storage transactions on the vendor's engine, without polling and leases (durable-measured.md 2)",
        "total": _sum(wanted),
        "byFunction": {key: _with_steps(of) for key, of in _grouped(wanted, lambda line: line.function).items()},
        "byInstance": {key: by_instance[key] for key in dearest},
        "prices": {
            step.value: {**price.times(1), "measured": price.measured} for step, price in PRICES.items()
        },
    }  # fmt: skip


def _grouped(lines: Iterable[Line], key: Any) -> dict[str, list[Line]]:
    groups: dict[str, list[Line]] = {}
    for line in lines:
        groups.setdefault(key(line), []).append(line)
    return dict(sorted(groups.items()))


def _sum(lines: Iterable[Line]) -> dict[str, int]:
    total = Counter({"queue": 0, "table": 0, "blob": 0, "all": 0})
    for line in lines:
        total.update(PRICES[line.step].times(line.times))
    return dict(total)


def _with_steps(lines: Sequence[Line]) -> dict[str, Any]:
    steps: Counter[str] = Counter()
    for line in lines:
        steps[line.step.value] += line.times
    return {**_sum(lines), "steps": dict(steps)}
