"""The story of a sweep: what rows, Azure and engine each say is compared, and what differs is repaired (I2, I17).

It waits and calls steps, and decides nothing. A step that fails stops no other: the next sweep comes in minutes.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from datetime import timedelta
from typing import Any

import azure.durable_functions as df

from shared.domain.steps import SweepStep

Wire = dict[str, Any]
Story = Generator[Any, Any, Any]
PROJECTS_AT_ONCE = 8
GOES = 2
MOST_PARTS = 50
"""Steps of one survey, each some seconds of listing: a list that does not end by then is none."""


def run_sweep(context: df.DurableOrchestrationContext) -> Generator[Any, Any, Wire]:
    """Take the lease; take stock of Azure; look after every project; look again at apps that nobody owns; finish."""
    sweep = Sweep(context)
    begun = yield from sweep.do(SweepStep.BEGIN, {})
    if not begun or not begun["leads"]:
        return {"led": False}
    stock = yield from take_stock(sweep, begun["startedAt"])
    if stock is not None and stock["missing"]:
        yield from sweep.do(SweepStep.MISSING, {"missing": stock["missing"]})
    young = (yield from remove_orphans(sweep, stock["suspects"])) if stock is not None else 0
    began_at = context.current_utc_datetime
    yield from look_after_projects(sweep, begun["projects"], estimates=begun["estimates"])
    if young:
        yield context.create_timer(began_at + timedelta(seconds=begun["secondLookSeconds"] + 1))
        yield from remove_orphans(sweep, [])
    yield from sweep.do(SweepStep.FINISH, {"found": sweep.found})
    return {"led": True, "listed": stock is not None, "found": sweep.found}


def take_stock(sweep: Sweep, started_at: str) -> Story:
    """Return what seems wrong with Azure's apps; None where the list broke off: then nothing is known of any app."""
    suspects: list[Wire] = []
    page: str | None = None
    for part in range(MOST_PARTS):
        seen = yield from sweep.do(SweepStep.SURVEY, {"startedAt": started_at, "part": part, "page": page})
        if not seen or not seen["known"]:
            return None
        suspects += seen["suspects"]
        page = seen["page"]
        if page is None:
            return {"suspects": suspects, "missing": seen["missing"]}
    return None


def remove_orphans(sweep: Sweep, suspects: list[Wire]) -> Story:
    """Note new suspects and remove those that have been suspects for long enough; return how many have not yet."""
    young, after = 0, ""
    for _ in range(MOST_PARTS):
        seen = yield from sweep.do(SweepStep.ORPHANS, {"suspects": suspects, "after": after})
        if not seen:
            return young
        young += seen["young"]
        suspects, after = [], seen["after"]
        if after is None:
            return young
    return young


def look_after_projects(sweep: Sweep, projects: Sequence[str], *, estimates: bool) -> Story:
    """Sweep project by project, some at once; a project with more sessions than a step looks at is gone on with."""
    left = [{"project": project, "after": "", "estimates": estimates} for project in projects]
    while left:
        group, left = left[:PROJECTS_AT_ONCE], left[PROJECTS_AT_ONCE:]
        seen = yield from sweep.do_together(SweepStep.PROJECT, group)
        left = [
            {**order, "after": told["after"]}
            for order, told in zip(group, seen, strict=True)
            if told and told["after"] is not None
        ] + left


class Sweep:
    """The engine's part of the story: steps that are called again once when they fail, and are then done without."""

    def __init__(self, context: df.DurableOrchestrationContext) -> None:
        self._context = context
        self._slot: int = context.get_input()["slot"]
        self._began: str = context.current_utc_datetime.isoformat()
        self.found = 0

    def do(self, step: SweepStep, order: Wire) -> Story:
        """Call a step; None where it failed and failed again: no SDK retries (functions-host.md 7.2 P6)."""
        for _ in range(GOES):
            try:
                told = yield self._context.call_activity(step, self._with_slot(order))
            except Exception:  # noqa: S112 - durable 1.x raises bare ones; what a sweep leaves undone the next one does
                continue
            return self._counted(told)
        return None

    def do_together(self, step: SweepStep, orders: Sequence[Wire]) -> Story:
        """Call a step for several orders at once. Where one fails they are called one by one: it stops no other."""
        try:
            told = yield self._context.task_all([self._context.call_activity(step, self._with_slot(o)) for o in orders])
        except Exception:  # which one is not said: each step is true of a second run
            one_by_one = []
            for order in orders:
                one_by_one.append((yield from self.do(step, order)))
            return one_by_one
        return [self._counted(one) for one in told]

    def _with_slot(self, order: Wire) -> Wire:
        return {"slot": self._slot, "began": self._began, **order}

    def _counted(self, told: Wire) -> Wire:
        self.found += told.get("found", 0) + told.get("removed", 0)
        return told
