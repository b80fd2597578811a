"""Drivers that are moved by a test: the story of orchestrators/session.py, one step when told to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from shared.domain.driving import Drive, Facts, Order
from shared.domain.names import wake_name
from shared.domain.states import SessionState
from shared.domain.steps import Step

_STEP_IN = {
    SessionState.REQUESTED: Step.ADMIT,
    SessionState.WAITING: Step.WAIT,
    SessionState.PROVISIONING: Step.LOOK,
    SessionState.RUNNING: Step.TEND,
    SessionState.STOPPING: Step.REMOVE,
    SessionState.ENDED: Step.SETTLE,
}


@dataclass
class Hand:
    """A driver: it goes through the story of a session as orchestrators/session.py tells it, a step when told to."""

    drive: Drive
    facts: Facts | None = None
    round: int = 0
    chapter: SessionState | None = None

    def next_step(self) -> Step:
        if self.facts is None:
            return Step.ADMIT
        begins = self.facts.state is SessionState.PROVISIONING and self.chapter is not SessionState.PROVISIONING
        return Step.CREATE if begins or self.facts.again else _STEP_IN[self.facts.state]

    def next_order(self) -> dict[str, Any]:
        self.round += 1
        drive = self.drive
        wake = wake_name(drive.epoch, self.round)
        order = Order(project=drive.project, session=drive.session, epoch=drive.epoch, round=self.round, wake=wake)
        return order.to_wire()

    @property
    def over(self) -> bool:
        return self.facts is not None and self.facts.over
