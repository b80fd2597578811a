from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator

import pytest

from devboxgpu.activity import Activity, ActivityReport
from devboxgpu.errors import Detail, RefusedError, SessionEndedError, UnreachableError
from devboxgpu.lease import LeaseKeeper
from devboxgpu.wire import LeaseRenewal, LeaseWarning

Answer = LeaseRenewal | Exception
STOPPED = [Detail(code="Stopped", message="nobody used it", target="Idle")]


class Service:
    """Answers renewals in order; the last answer stands for all that follow."""

    def __init__(self, answers: list[Answer]) -> None:
        self.answers = answers
        self.renewed: queue.SimpleQueue[ActivityReport] = queue.SimpleQueue()

    def renew_lease(self, shell: str, report: ActivityReport) -> LeaseRenewal:
        self.renewed.put(report)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


class Kept:
    def __init__(self, answers: list[Answer], *, monotonic: Callable[[], float] | None = None) -> None:
        self.service = Service(answers)
        self.told: list[str] = []
        self.ended: queue.SimpleQueue[SessionEndedError] = queue.SimpleQueue()
        self.activity = Activity()
        clock = {"monotonic": monotonic} if monotonic else {}
        self.keeper = LeaseKeeper(
            self.service,
            "sh-1",
            activity=self.activity,
            first_after_s=0.0,
            tell=self.told.append,
            ended=self.ended.put,
            **clock,
        )

    def renewals(self, count: int) -> None:
        for _ in range(count):
            self.service.renewed.get(timeout=20)


@pytest.fixture
def kept() -> Iterator[Callable[..., Kept]]:
    made: list[Kept] = []

    def make(*answers: Answer, monotonic: Callable[[], float] | None = None) -> Kept:
        made.append(Kept(list(answers), monotonic=monotonic))
        made[-1].keeper.start()
        return made[-1]

    yield make
    for one in made:
        one.keeper.stop()


def renewal(*warnings: LeaseWarning) -> LeaseRenewal:
    return LeaseRenewal(renew_after_s=0.01, warnings=warnings)


def test_each_warning_is_told_once_however_often_it_comes(kept: Callable[..., Kept]) -> None:
    five = LeaseWarning(kind="Idle", message="stops in 5 min", at="22:00")
    one = LeaseWarning(kind="Idle", message="stops in 1 min", at="22:04")

    later = LeaseWarning(kind="Idle", message="stops in 5 min", at="22:00:01")  # the instant moves, the words do not

    life = kept(renewal(five), renewal(later), renewal(five, one))
    life.renewals(5)

    assert life.told == ["stops in 5 min", "stops in 1 min"]


def test_an_ended_session_is_reported_with_its_reason_and_renewing_stops(kept: Callable[..., Kept]) -> None:
    life = kept(renewal(), RefusedError("it ended", status=409, code="ShellEnded", details=STOPPED))

    ended = life.ended.get(timeout=20)

    assert ended.reason == "Idle"
    assert "idle for longer than the project allows" in str(ended)


def test_a_shell_that_the_service_does_not_know_is_over(kept: Callable[..., Kept]) -> None:
    assert "no longer knows" in str(kept(RefusedError("?", status=404, code="NotFound")).ended.get(timeout=20))


def test_silence_does_not_end_the_shell_and_is_told_once(
    kept: Callable[..., Kept], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("devboxgpu.lease.AFTER_FAILURE_S", 0.01)
    ticks = iter(range(0, 10_000, 45))
    lock = threading.Lock()

    def clock() -> float:
        with lock:
            return float(next(ticks))

    life = kept(UnreachableError("no answer"), monotonic=clock)
    life.renewals(6)

    assert life.ended.empty()
    assert len(life.told) == 1
    assert "no contact with the control plane" in life.told[0]


def test_a_refusal_of_another_kind_is_tried_again(kept: Callable[..., Kept], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("devboxgpu.lease.AFTER_FAILURE_S", 0.01)

    life = kept(RefusedError("busy", status=500, code="Internal"), renewal())
    life.renewals(3)

    assert life.ended.empty()
