"""What the control plane says while a shell is being opened: its place in line, its tries, and what it would decide."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Self

from devboxgpu.wire import Json, Money, Problem, count_of, instant_of, items_of, mapping_of, number_of, text_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Try:
    """A place where no session could be made, and why."""

    region: str
    gpu_type: str
    code: str

    @classmethod
    def read_all(cls, data: Json) -> tuple[Self, ...]:
        return tuple(
            cls(
                region=text_of(item, "region") or "an unnamed region",
                gpu_type=text_of(item, "gpuType") or "GPU",
                code=text_of(item, "code") or "Unknown",
            )
            for item in items_of(data, "tries")
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    status: str
    phase: str | None
    attempt: int
    gpu_type: str | None
    region: str | None
    queue_position: int | None
    """1 is the next."""
    expected_wait_s: float | None
    """None: nobody knows."""
    wait_reason: str | None
    wait_ends_at: datetime | None
    """When the service gives up waiting."""
    tries: tuple[Try, ...]
    error: Problem | None

    @classmethod
    def read(cls, data: Json) -> Self:
        return cls(
            status=text_of(data, "status") or "Unknown",
            phase=text_of(data, "phase"),
            attempt=count_of(data, "attempt") or 1,
            gpu_type=text_of(data, "gpuType"),
            region=text_of(data, "region"),
            queue_position=count_of(data, "queuePosition"),
            expected_wait_s=number_of(data, "expectedWaitSeconds"),
            wait_reason=text_of(data, "waitReason"),
            wait_ends_at=instant_of(data, "waitTimesOutAt"),
            tries=Try.read_all(data),
            error=Problem.read(mapping_of(data, "error")),
        )

    @property
    def waits(self) -> bool:
        return self.phase is None and (self.queue_position is not None or self.wait_reason is not None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What OpenShell would decide now."""

    verdict: str
    """admit, join, wait or refuse."""
    gpu_type: str | None
    region: str | None
    price_an_hour: Money | None
    session: str | None
    """The session that would be joined."""
    queue_position: int | None
    expected_wait_s: float | None
    expected_ready_s: float | None
    why: Problem | None

    @classmethod
    def read(cls, data: Json) -> Self:
        return cls(
            verdict=text_of(data, "decision") or "unknown",
            gpu_type=text_of(data, "gpuType"),
            region=text_of(data, "region"),
            price_an_hour=Money.read(mapping_of(data, "price"), "amountPerHour"),
            session=text_of(data, "session"),
            queue_position=count_of(data, "queuePosition"),
            expected_wait_s=number_of(data, "expectedWaitSeconds"),
            expected_ready_s=number_of(data, "expectedReadySeconds"),
            why=Problem.read(data) if "code" in data or "message" in data else None,
        )
