"""Steps as spans: each in the trace that its order carries, below the span of its driver or its sweep.

An orchestration has no process of its own to time it: its last step tells of it, under the id that its name gives.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from shared.domain.names import SessionId
from shared.domain.records import SessionRow
from shared.domain.steps import DRIVE_SESSION, RUN_SWEEP, Step, SweepStep
from shared.domain.tracing import Trace, driver_trace, read_trace, sweep_trace
from shared.ports.drivers import Drivers
from shared.ports.telemetry import Span, spanned
from shared.ports.world import World

Wire = dict[str, Any]
REPLACED = "replaced: the engine had lost it, or it did not answer"


def traced(step: Step | SweepStep, body: Callable[[Wire, World], Wire]) -> Callable[[Wire, World], Wire]:
    """Return the step as one that is told of."""

    def run(order: Wire, world: World) -> Wire:
        with _stepping(step, order, world) as told:
            return told(body(order, world))

    return run


def traced_driving(
    step: Step | SweepStep, body: Callable[[Wire, World, Drivers], Awaitable[Wire]]
) -> Callable[[Wire, World, Drivers], Awaitable[Wire]]:
    """Return a step that asks the engine itself as one that is told of."""

    async def run(order: Wire, world: World, drivers: Drivers) -> Wire:
        with _stepping(step, order, world) as told:
            return told(await body(order, world, drivers))

    return run


@contextmanager
def _stepping(step: Step | SweepStep, order: Wire, world: World) -> Iterator[Callable[[Wire], Wire]]:
    story = _story(step, order)
    if story is None:
        yield lambda answer: answer  # begun by a version that carried no trace: part of none
        return
    with spanned(world.telemetry, step.value, story, words=_words(order), now=world.now) as working:

        def told(answer: Wire) -> Wire:
            working.words |= {name: answer[name] for name in ("state", "pauseSeconds", "found") if name in answer}
            if _is_last(step, answer):
                _tell_story(order, story, world)
            return answer

        yield told


def _story(step: Step | SweepStep, order: Wire) -> Trace | None:
    """Return the span of the orchestration that this step is of."""
    if isinstance(step, SweepStep):
        return sweep_trace(int(order["slot"]))
    return driver_trace(order.get("trace"), SessionId(order["session"]), int(order["epoch"]))


def _words(order: Wire) -> dict[str, str | int | float | bool]:
    return {name: order[name] for name in ("project", "session", "epoch", "round", "slot", "part") if name in order}


def _is_last(step: Step | SweepStep, answer: Wire) -> bool:
    return step in (Step.HAND_OVER, SweepStep.FINISH) or answer.get("finished") is True


def _tell_story(order: Wire, story: Trace, world: World) -> None:
    """Tell of the orchestration whose last step this is. Repeated with that step, it is the same span again."""
    if "began" not in order or not story.sampled:
        return
    above = read_trace(order.get("trace"))
    world.telemetry.span(
        Span(
            name=RUN_SWEEP if "slot" in order else DRIVE_SESSION,
            trace=story,
            parent_id=above.span_id if above else None,
            began_at=_instant(order["began"]),
            ended_at=world.now(),
            words={name: value for name, value in _words(order).items() if name not in ("round", "part")},
        )
    )


def tell_of_lost_driver(world: World, row: SessionRow) -> None:
    """Tell of a driver that another one has been booked for: it cannot do so itself."""
    story, above = driver_trace(row.trace, row.session, row.epoch), read_trace(row.trace)
    if story is None or above is None or not story.sampled:
        return
    world.telemetry.span(
        Span(
            name=DRIVE_SESSION,
            trace=story,
            parent_id=above.span_id,
            began_at=row.booked_at,
            ended_at=world.now(),
            words={"project": row.project, "session": row.session, "epoch": row.epoch},
            fault=REPLACED,
        )
    )


def _instant(text: str) -> datetime:
    at = datetime.fromisoformat(text)
    return at if at.tzinfo is not None else at.replace(tzinfo=UTC)
