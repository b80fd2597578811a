"""What passes between a driver (the orchestration) and its steps: plain JSON, named here and nowhere else."""

from __future__ import annotations

from typing import Any

import msgspec

from shared.domain.names import ProjectId, SessionId
from shared.domain.states import SessionState

MAX_ROUNDS = 60
"""Steps of one driver before it hands over: replay does not show up to about 100 (durable-measured.md 7)."""


class Drive(msgspec.Struct, frozen=True, kw_only=True):
    """The input of a driver: which session, and in which epoch.

    `state` is where the session stood when the driver was started, so that it can begin there; without it the driver
    asks first. It may be out of date: every step looks at the row.
    """

    project: ProjectId
    session: SessionId
    epoch: int
    state: SessionState | None = None
    trace: str | None = None  # the `traceparent` of the request that opened the session

    def to_wire(self) -> dict[str, Any]:
        told: dict[str, Any] = {"project": self.project, "session": self.session, "epoch": self.epoch}
        if self.state is not None:
            told["state"] = self.state.value
        if self.trace is not None:
            told["trace"] = self.trace
        return told


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """The input of a step. `round` grows with every step of an epoch; `wake` names the wait that follows the step.

    `trace` and `began` are the driver's: whose trace it is part of, and when it began by the engine's clock.
    """

    project: ProjectId
    session: SessionId
    epoch: int
    round: int
    wake: str
    trace: str | None = None
    began: str | None = None

    def to_wire(self) -> dict[str, Any]:
        told = {
            "project": self.project,
            "session": self.session,
            "epoch": self.epoch,
            "round": self.round,
            "wake": self.wake,
        }
        return {**told, "trace": self.trace, "began": self.began} if self.trace is not None else told


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """The answer of a step: where the session stands, and for how long the driver may wait before the next step."""

    state: SessionState
    pause_s: float = 0.0
    superseded: bool = False
    finished: bool = False
    again: bool = False  # whether the app is to be created (once more) after the pause

    def to_wire(self) -> dict[str, Any]:
        return {
            "state": self.state.value,
            "pauseSeconds": self.pause_s,
            "again": self.again,
            "superseded": self.superseded,
            "finished": self.finished,
        }

    @classmethod
    def from_wire(cls, wire: dict[str, Any]) -> Facts:
        return cls(
            state=SessionState(wire["state"]),
            pause_s=float(wire["pauseSeconds"]),
            superseded=bool(wire["superseded"]),
            finished=bool(wire["finished"]),
            again=bool(wire["again"]),
        )

    @property
    def over(self) -> bool:
        """Whether this driver has nothing more to do."""
        return self.superseded or self.finished
