"""~i and ~e: what is known of the session in a few lines, and more time for it."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest

from devboxgpu.errors import RefusedError, UnreachableError
from devboxgpu.session_keys import SessionKeys, info_lines
from devboxgpu.wire import Json

NOW = datetime(2026, 11, 21, 22, 0, tzinfo=UTC)
SESSION: dict[str, object] = {
    "id": "s-7",
    "state": "Running",
    "gpuType": "T4",
    "region": "westus3",
    "durationSeconds": 2530,
    "price": {"amountPerHour": "0.585", "currency": "USD"},
    "cost": {"amount": "0.4112", "currency": "USD"},
    "lastActivityAt": "2026-11-21T21:56:55Z",
    "stopsAt": "2026-11-21T22:27:00Z",
    "stopReason": "Idle",
    "shells": [{"id": "sh-1"}, {"id": "sh-2"}, {"id": "sh-3", "closedAt": "2026-11-21T21:00:00Z"}],
}


class Service:
    def __init__(self, answer: Json | Exception) -> None:
        self.answer, self.asked = answer, list[tuple[str, float]]()

    def get_session(self, session: str) -> Json:
        return self._give(session, 0)

    def extend_session(self, session: str, *, minutes: float) -> Json:
        return self._give(session, minutes)

    def _give(self, session: str, minutes: float) -> Json:
        self.asked.append((session, minutes))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.fixture(autouse=True)
def utc(monkeypatch: pytest.MonkeyPatch) -> None:
    """The time of day is the person's own."""
    import time

    monkeypatch.setenv("TZ", "UTC")
    time.tzset()


def test_the_session_is_told_in_a_few_lines() -> None:
    assert list(info_lines(SESSION, "sh-1", NOW)) == [
        "session s-7 · Running",
        "T4 in westus3 · 42 min 10 s · est. 0.41 USD so far · 0.59 USD/h",
        "idle for 3 min 5 s · stops at 22:27 (in 27 min): idle",
        "1 other shell in it: it goes on when this one is closed",
    ]


def test_what_is_unknown_is_called_so() -> None:
    assert list(info_lines({"id": "s-7", "shells": [{"id": "sh-1"}]}, "sh-1", NOW)) == [
        "session s-7",
        "GPU unknown · cost unknown",
        "when it stops is not known",
    ]


def test_names_from_elsewhere_do_not_steer_the_terminal() -> None:
    lines = list(info_lines({**SESSION, "region": "x\x1b]0;evil\x07", "stopReason": "\x9b31m"}, "sh-1", NOW))

    assert all(line.isprintable() for line in lines)


def test_extending_asks_for_an_hour_and_says_the_new_stop() -> None:
    service = Service({**SESSION, "stopsAt": "2026-11-21T23:00:00Z", "stopReason": "MaxLifetime"})

    (line,) = asyncio.run(SessionKeys(service, "s-7", "sh-1").on_extend())

    assert service.asked == [("s-7", 60)]
    assert line.startswith("extended: stops at 23:00 (")
    assert line.endswith(": longest life")


def test_a_refusal_to_extend_says_why() -> None:
    refused = RefusedError("a session may be extended by 240 minutes in all", status=409, code="ExtendLimitReached")

    assert asyncio.run(SessionKeys(Service(refused), "s-7", "sh-1").on_extend()) == [
        "not extended: ExtendLimitReached: a session may be extended by 240 minutes in all"
    ]


def test_silence_is_not_taken_for_an_answer() -> None:
    silent = Service(UnreachableError("the control plane does not answer"))

    assert asyncio.run(SessionKeys(silent, "s-7", "sh-1").on_info()) == [
        "the session's facts are unknown: the control plane does not answer"
    ]
    assert asyncio.run(SessionKeys(silent, "s-7", "sh-1").on_extend()) == [
        "whether it was extended is unknown (Enter ~i tells): the control plane does not answer"
    ]
