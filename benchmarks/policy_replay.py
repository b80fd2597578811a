"""How fast recorded demand is replayed: events a second, an event being a request, an end, or a place given in line.

`python -m benchmarks policy_replay [--small]`. The demand is made up: people who come as in a Poisson process and stay
for a time that has a long tail. No storage is read; seconds are those of the processor.
"""

from __future__ import annotations

import random
import time
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from benchmarks.table import show
from shared.domain.demand import record_of
from shared.domain.names import ProjectId, SessionId, UserId
from shared.domain.pricing import GpuType
from shared.domain.records import Asked, SessionRow
from shared.domain.replay import replay
from shared.domain.replay_report import figures
from shared.domain.settings import Fairness, GpuSettings, LineSettings, Mode, ServerlessGpuSessionsSettings
from shared.domain.states import EndReason, SessionState

SINCE = datetime(2026, 11, 1, tzinfo=UTC)
DAYS = 30
MEAN_USE = timedelta(minutes=45)
USERS = 40


def run(*, small: bool) -> None:
    sessions = 500 if small else 20_000
    record = record_of(_rows(sessions), SINCE, SINCE + timedelta(days=DAYS), "USD")
    busy = sessions * MEAN_USE / timedelta(days=DAYS)
    rows: list[list[object]] = []
    for load in (0.3, 0.6, 0.9, 1.1, 3.0):
        for fairness in Fairness:
            settings = _settings(max(1, round(busy / load)), fairness)
            began = time.process_time()
            fates = replay(record, settings)
            took_s = time.process_time() - began
            found = figures(fates, record.since, record.until, settings.project_cap)
            events = sessions + 2 * found.waited + found.at_once
            rows.append(
                [
                    settings.project_cap,
                    fairness,
                    f"{found.utilisation or 0:.0%}",
                    found.waited,
                    f"{took_s:.2f}",
                    f"{events / took_s:,.0f}",
                ]
            )
    heads = ["cap", "fairness", "held", "waited", "seconds", "events a second"]
    show(f"Replay of {sessions:,} sessions of {USERS} users in {DAYS} days", heads, rows)


def _settings(cap: int, fairness: Fairness) -> GpuSettings:
    return GpuSettings(
        serverless_gpu_sessions_settings=ServerlessGpuSessionsSettings(
            serverless_gpu_sessions_mode=Mode.AUTO_DEPLOY, max_concurrent_sessions_per_project=cap
        ),
        max_concurrent_sessions_per_user=50,
        line=LineSettings(fairness=fairness),
    )


def _rows(sessions: int) -> list[SessionRow]:
    chance = random.Random(7)
    span_s = DAYS * 86_400.0
    return [_row(number, SINCE + timedelta(seconds=chance.uniform(0, span_s)), chance) for number in range(sessions)]


def _row(number: int, asked_at: datetime, chance: random.Random) -> SessionRow:
    running_at = asked_at + timedelta(seconds=40)
    stopping_at = running_at + chance.expovariate(1.0) * MEAN_USE
    return SessionRow(
        project=ProjectId("demo"),
        session=SessionId(f"{number:026d}"),
        user=UserId(f"user-{chance.randrange(USERS)}"),
        state=SessionState.ENDED,
        gpu_type=GpuType.T4,
        image="image",
        regions=["westus3"],
        created_at=asked_at,
        booked_at=asked_at,
        shells=[],
        asked=Asked(),
        waits=True,
        idle_timeout_s=1800.0,
        max_lifetime_s=28_800.0,
        holds=0,
        held_from=asked_at,
        replica_started_at=asked_at + timedelta(seconds=20),
        running_at=running_at,
        active_at=stopping_at,
        quiet_at_most_s=0.0,
        stopping_at=stopping_at,
        ended_at=stopping_at + timedelta(seconds=5),
        end_reason=EndReason.SHELLS_CLOSED,
        rate_per_second=Decimal("0.000433"),
        currency="USD",
    )
