"""The story of a session.

A driver is started for a session in any state and carries on from what its row says; another one may take its place
at any moment (DESIGN.md section 4). It waits and calls steps, and decides nothing: what a step found decides.
"""

from __future__ import annotations

from collections.abc import Generator
from datetime import timedelta
from typing import Any

import azure.durable_functions as df

from shared.domain.driving import MAX_ROUNDS, Facts, Order
from shared.domain.names import ProjectId, SessionId, wake_name
from shared.domain.states import SessionState
from shared.domain.steps import Step

Story = Generator[Any, Any, Facts]
PAUSE_AFTER_FAILURE_S = 2.0
FAILURES_IN_A_ROW = 8


def drive_session(context: df.DurableOrchestrationContext) -> Generator[Any, Any, dict[str, Any]]:
    """Admit; wait in line; create and look until the GPU is proved; hold until told or due to stop; remove; settle.

    Nothing here gives a GPU back by being reached: the row says what is owed, and the next driver pays it.
    """
    driver = Driver(context)
    facts = driver.known_from_the_start() or (yield from driver.do(Step.ADMIT))
    if facts.state is SessionState.WAITING and not facts.over:
        facts = yield from wait_in_line(driver, facts)
    if facts.state is SessionState.PROVISIONING and not facts.over:
        facts = yield from bring_up(driver)
    if facts.state is SessionState.RUNNING and not facts.over:
        facts = yield from hold(driver, facts)
    if facts.state is SessionState.STOPPING and not facts.over:
        facts = yield from take_down(driver, facts)
    if facts.state is SessionState.ENDED and not facts.over:
        facts = yield from driver.do(Step.SETTLE)
    if not facts.over:
        yield context.call_activity(Step.HAND_OVER, driver.order().to_wire())
    return facts.to_wire()


def wait_in_line(driver: Driver, facts: Facts) -> Story:
    """Leave the session in line until somebody wakes it, mostly because it has been given a GPU, or it must leave."""
    while driver.may_go_on(facts, SessionState.WAITING):
        yield from driver.pause(facts)
        facts = yield from driver.do(Step.WAIT)
    return facts


def bring_up(driver: Driver) -> Story:
    """Create the app, then look until its GPU is proved or there is no more hope; elsewhere, where a look says so."""
    facts = yield from driver.do(Step.CREATE)
    while driver.may_go_on(facts, SessionState.PROVISIONING):
        yield from driver.pause(facts)
        facts = yield from driver.do(Step.CREATE if facts.again else Step.LOOK)
    return facts


def hold(driver: Driver, facts: Facts) -> Story:
    """Leave the session alone until its next deadline, or until somebody wakes it, for as long as it may live."""
    while driver.may_go_on(facts, SessionState.RUNNING):
        yield from driver.pause(facts)
        facts = yield from driver.do(Step.TEND)
    return facts


def take_down(driver: Driver, facts: Facts) -> Story:
    """Delete the app until Azure says that it is gone."""
    while driver.may_go_on(facts, SessionState.STOPPING):
        yield from driver.pause(facts)
        facts = yield from driver.do(Step.REMOVE)
    return facts


class Driver:
    """The engine's part of the story: numbered steps that are repeated when lost, and waits that nothing slips through.

    Each wait has a name of its own, which the step before it has written into the session's row; a wait is kept over
    the rounds until it is done, each round has a new timer, and a fired timer counts as due (durable-measured.md 3).
    """

    def __init__(self, context: df.DurableOrchestrationContext) -> None:
        self._context = context
        wire = context.get_input()
        self._project, self._session = ProjectId(wire["project"]), SessionId(wire["session"])
        self._epoch: int = wire["epoch"]
        self._state: str | None = wire.get("state")
        self._trace: str | None = wire.get("trace")
        self._began: str = context.current_utc_datetime.isoformat()
        self._round = 0
        self._waits = 0
        self._wait = context.wait_for_external_event(wake_name(self._epoch, 0))

    def known_from_the_start(self) -> Facts | None:
        """Return where the session stood when this driver was started; None where it is to be asked."""
        return Facts(state=SessionState(self._state)) if self._state is not None else None

    def order(self) -> Order:
        """Return the order of the present round."""
        return Order(
            project=self._project,
            session=self._session,
            epoch=self._epoch,
            round=self._round,
            wake=wake_name(self._epoch, self._waits),
            trace=self._trace,
            began=self._began,
        )

    def may_go_on(self, facts: Facts, state: SessionState) -> bool:
        """Tell whether this chapter goes on with this driver."""
        return facts.state is state and not facts.over and self._round < MAX_ROUNDS

    def do(self, step: Step) -> Story:
        """Call a step. One that failed (worker lost, storage away) is called again as a new round: no SDK retries."""
        for failures in range(1, FAILURES_IN_A_ROW + 1):
            self._round += 1
            try:
                wire = yield self._context.call_activity(step, self.order().to_wire())
            except Exception:  # durable 1.x raises bare exceptions; steps raise only what a later call may cure
                if failures == FAILURES_IN_A_ROW:
                    raise
                yield from self._sleep(PAUSE_AFTER_FAILURE_S * failures)
            else:
                return Facts.from_wire(wire)
        raise AssertionError

    def pause(self, facts: Facts) -> Generator[Any, Any, None]:
        """Wait as long as the step before said, or until somebody wakes this session."""
        if facts.pause_s <= 0:
            return
        timer = self._context.create_timer(self._context.current_utc_datetime + timedelta(seconds=facts.pause_s))
        won = yield self._context.task_any([self._wait, timer])
        if won is self._wait:
            if not timer.is_completed:
                timer.cancel()
            self._waits += 1
            self._wait = self._context.wait_for_external_event(wake_name(self._epoch, self._waits))

    def _sleep(self, seconds: float) -> Generator[Any, Any, None]:
        yield self._context.create_timer(self._context.current_utc_datetime + timedelta(seconds=seconds))
