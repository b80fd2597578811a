"""What is counted and timed of the service, and what a change that has been written adds to it.

No measure tells of a user: its words are states, places, codes and, where a budget or a line is a project's, projects.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from itertools import product

from shared.domain.billing import spans
from shared.domain.events import EventType
from shared.domain.names import ProjectId
from shared.domain.pricing import GpuType
from shared.domain.records import OutboxRow, SessionRow
from shared.domain.states import SessionState

LIVE = tuple(state for state in SessionState if state is not SessionState.ENDED)


class Kind(StrEnum):
    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


class Metric(StrEnum):
    """Names of measures, as a workbook or an alert asks for them. Frozen once released."""

    SESSIONS = "devboxgpu.sessions"
    LINE_LENGTH = "devboxgpu.line.length"
    PHASE_DURATION = "devboxgpu.session.phase.duration"
    TIME_TO_SHELL = "devboxgpu.session.time_to_shell"
    SESSIONS_ENDED = "devboxgpu.sessions.ended"
    GPU_SECONDS = "devboxgpu.gpu.seconds"
    REPAIRS = "devboxgpu.repairs"
    REFUSALS = "devboxgpu.refusals"
    REQUEST_DURATION = "http.server.request.duration"


@dataclass(frozen=True, slots=True, kw_only=True)
class Meaning:
    kind: Kind
    unit: str
    text: str


MEANINGS = {
    Metric.SESSIONS: Meaning(kind=Kind.GAUGE, unit="{session}", text="sessions that have not ended, by state and GPU"),
    Metric.LINE_LENGTH: Meaning(kind=Kind.GAUGE, unit="{session}", text="sessions that wait in a project's line"),
    Metric.PHASE_DURATION: Meaning(kind=Kind.HISTOGRAM, unit="s", text="how long a phase on the way to a shell took"),
    Metric.TIME_TO_SHELL: Meaning(kind=Kind.HISTOGRAM, unit="s", text="from the request to a session that runs"),
    Metric.SESSIONS_ENDED: Meaning(
        kind=Kind.COUNTER, unit="{session}", text="ended sessions, by reason and error code"
    ),
    Metric.GPU_SECONDS: Meaning(kind=Kind.COUNTER, unit="s", text="seconds that ended sessions held a GPU"),
    Metric.REPAIRS: Meaning(kind=Kind.COUNTER, unit="{repair}", text="what keeper and sweep had to put right"),
    Metric.REFUSALS: Meaning(kind=Kind.COUNTER, unit="{refusal}", text="requests and sessions refused, by code"),
    Metric.REQUEST_DURATION: Meaning(kind=Kind.HISTOGRAM, unit="s", text="how long requests took to answer"),
}
WAITING_IN_LINE = "Waiting"
"""The phase of a session that has no GPU yet, beside those of provisioning."""
REPAIRS = {
    EventType.DRIVER_REPLACED: "driverReplaced",
    EventType.ORPHAN_REMOVED: "orphanRemoved",
    EventType.OUTBOX_DEAD_LETTERED: "eventGivenUp",
}


@dataclass(frozen=True, slots=True)
class Measure:
    """One value. A counter grows by it, a gauge stands at it, a histogram takes it in."""

    metric: Metric
    value: float
    words: tuple[tuple[str, str], ...] = ()


def measure(metric: Metric, value: float, **words: str) -> Measure:
    return Measure(metric, value, tuple(sorted(words.items())))


def measures_of_move(before: SessionRow, after: SessionRow, now: datetime) -> Iterator[Measure]:
    """Yield what a step that took a session from one row to the next says of the way to a shell."""
    place = {"gpuType": before.gpu_type.value, "region": before.region or "none"}
    phase, since = before.phase, before.phase_since
    if phase is not None and since is not None and (after.phase, after.phase_since) != (phase, since):
        given_up = after.state is SessionState.STOPPING or after.attempt > before.attempt
        outcome = "failed" if given_up else "passed"
        yield measure(Metric.PHASE_DURATION, _seconds(since, now), phase=phase.value, outcome=outcome, **place)
    if after.state is SessionState.RUNNING and before.state is not SessionState.RUNNING:
        waited_s = _seconds(after.created_at, after.held_from or after.created_at)
        yield measure(Metric.PHASE_DURATION, waited_s, phase=WAITING_IN_LINE, outcome="passed", **place)
        yield measure(Metric.TIME_TO_SHELL, _seconds(after.created_at, now), **place)
    if after.settled and not before.settled:
        for span in spans(after, after.ended_at or now):
            where = span.region or "none"
            yield measure(
                Metric.GPU_SECONDS, span.seconds, gpuType=span.gpu_type.value, region=where, project=after.project
            )


def measures_of_entry(entry: OutboxRow) -> Iterator[Measure]:
    """Yield what one audit entry counts for: an end, a refusal by admission, a repair."""
    data = entry.data
    if entry.event_type == EventType.SESSION_ENDED:
        code = str(data.get("error") or "none")
        yield measure(Metric.SESSIONS_ENDED, 1, reason=str(data.get("endReason")), code=code)
        if data.get("endReason") == "Refused":
            yield measure(Metric.REFUSALS, 1, code=code, operation="admission")
    if entry.event_type == EventType.SWEEP_REPAIRED:
        yield measure(Metric.REPAIRS, 1, what=str(data.get("what")))
    what = REPAIRS.get(EventType(entry.event_type)) if entry.event_type in set(EventType) else None
    if what is not None:
        yield measure(Metric.REPAIRS, 1, what=what)


def measures_of_fleet(live: Iterable[SessionRow], told_before: Iterable[ProjectId]) -> Iterator[Measure]:
    """Yield how many sessions there are, by state and GPU, and how many wait in each project.

    A state without sessions is told as 0, and so is the line of a project that had one when it was last told.
    """
    states: Counter[tuple[SessionState, GpuType]] = Counter()
    lines: Counter[ProjectId] = Counter(dict.fromkeys(told_before, 0))
    for row in live:
        states[row.state, row.gpu_type] += 1
        lines[row.project] += row.state is SessionState.WAITING
    for state, gpu_type in product(LIVE, GpuType):
        yield measure(Metric.SESSIONS, states[state, gpu_type], state=state.value, gpuType=gpu_type.value)
    for project, waiting in lines.items():
        yield measure(Metric.LINE_LENGTH, waiting, project=project)


def _seconds(begin: datetime, end: datetime) -> float:
    return max(0.0, (end - begin).total_seconds())
