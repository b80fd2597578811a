"""Admission: decisions a second with a long line, the answer to many at once, and how soon a free place is taken.

`python -m benchmarks admission [--small]`. Users ask at the same time, each again as soon as the last answer is there;
every second request would rather wait than be refused. Then sessions are ended one by one, and the audit, the rows
and the apps themselves tell when the next of the line had the place, when its driver was awake, and its app created.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.ledger_history import ADMITTED, ENDED, LedgerHistory
from benchmarks.long_line import CAP, WAITERS, book_with_line, waiter
from benchmarks.people import People
from benchmarks.table import percentile, show
from localcloud.stack import LocalCloud
from shared.domain.admission import Wish, decide
from shared.domain.pricing import GpuType
from shared.domain.settings import Fairness

T4, A100 = GpuType.T4, GpuType.A100
LOOK_AGAIN_S = 0.2
LONGEST_S = 120.0


@dataclass(frozen=True, slots=True)
class Plan:
    """So many users ask so many times each, for so many places; then so many sessions are ended."""

    users: int
    times: int
    cap: int
    ends: int


def run(*, small: bool) -> None:
    plan = Plan(users=4, times=4, cap=2, ends=2) if small else Plan(users=50, times=10, cap=CAP, ends=20)
    heads = [f"request, {WAITERS} in line", *(f"{fairness}, a second" for fairness in Fairness)]
    show("Decisions", heads, list(decisions(0.02 if small else 1.0)))
    with tempfile.TemporaryDirectory(prefix="devboxgpu-bench-") as folder:
        cloud = LocalCloud(Path(folder))
        cloud.up()
        try:
            asyncio.run(measure(cloud.endpoints, plan))
        finally:
            cloud.down()


# the decision alone


def decisions(for_s: float) -> Iterator[list[object]]:
    """Yield how often a second each kind of request is decided: in a full project, and past a line for another type."""
    full, room = {"T4": CAP - 1, "A100": 1}, {"T4": CAP // 2, "A100": 1}
    for name, in_use, wanted, waits in (
        ("for a T4, waits", full, T4, True),
        ("for a T4, is refused", full, T4, False),
        ("for a T4, is admitted past who waits for an A100", room, A100, False),
    ):
        rates = []
        for fairness in Fairness:
            book, wish = book_with_line(fairness, in_use, wanted), Wish(waiter=waiter(WAITERS, T4), wait=waits)
            rates.append(f"{rate_of(partial(decide, book, wish), for_s):,.0f}")
        yield [name, *rates]


def rate_of(act: Callable[[], object], for_s: float) -> float:
    done, begun = 0, time.perf_counter()
    while (taken := time.perf_counter() - begun) < for_s:
        act()
        done += 1
    return done / taken


# over the running stack


async def measure(endpoints: dict[str, str], plan: Plan) -> None:
    history = LedgerHistory(endpoints["tables"])
    async with People(endpoints) as people:
        requests = plan.users * plan.times
        line = {"maxLength": requests, "fairness": Fairness.FIFO.value}
        await people.allow(plan.cap, maxConcurrentSessionsPerUser=plan.times, line=line)
        users = [f"load-{number}" for number in range(1, plan.users + 1)]
        await asyncio.gather(*(people.sign_in(user) for user in users))
        await people.open(users[0], "warm-up-shell")
        await people.close_and_wait(users[0], "warm-up-shell")
        before = history.revision()
        asked = await asyncio.gather(*(ask(people, user, plan.times) for user in users))
        show_answers([told for one in asked for told in one], history.revision() - before)
        ended = await end_one_by_one(people, history, plan.ends)
        created = {app["name"]: app["createdAt"] for app in await truth(people)}
    show_promotions(list(promotions(history, ended, created)))


async def ask(people: People, user: str, times: int) -> list[tuple[float, str]]:
    """Ask so many times, one after the other; return seconds to the answer and the state that it tells."""
    told = []
    for number in range(times):
        begun, path = time.perf_counter(), f"/projects/demo/users/me/shells/shell-{number:06d}"
        status, view, _ = await people.call(user, "PUT", path, {"wait": number % 2 == 1})
        if status != 201:
            raise RuntimeError(f"{user} {path}: {status} {view}")
        told.append((time.perf_counter() - begun, view["state"]))
    return told


def show_answers(told: list[tuple[float, str]], written: int) -> None:
    seconds, states = [one for one, _ in told], Counter(state for _, state in told)
    figures = [f"{percentile(seconds, p):.2f}" for p in (50, 95, 100)]
    counts = [states["Provisioning"], states["Waiting"], states["Ended"]]
    heads = ["requests", "p50 s", "p95 s", "max s", "admitted", "waiting", "refused", "ledger writes", "per request"]
    show("Answers to many at once", heads, [[len(told), *figures, *counts, written, f"{written / len(told):.2f}"]])


async def until(question: Callable[[], bool]) -> None:
    gives_up_at = time.perf_counter() + LONGEST_S
    while not question():
        if time.perf_counter() > gives_up_at:
            raise TimeoutError(question.__name__)
        await asyncio.sleep(LOOK_AGAIN_S)


async def end_one_by_one(people: People, history: LedgerHistory, ends: int) -> set[str]:
    """End running sessions, each when all that have a place run; return those that were ended."""
    ended: set[str] = set()

    def all_run() -> bool:
        return all(row["state"] in ("Running", "Waiting", "Ended") for row in history.sessions())

    for _ in range(ends):
        await until(all_run)
        session = next(row["session"] for row in history.sessions() if row["state"] == "Running")
        await people.call("olga", "POST", f"/projects/demo/sessions/{session}/stop", {})
        ended.add(session)
    await until(all_run)
    await until(history.is_told)
    return ended


async def truth(people: People) -> list[dict[str, Any]]:
    async with people.http.get(f"{people.endpoints['arm']}/_truth") as answer:
        apps: list[dict[str, Any]] = (await answer.json())["apps"]
        return apps


def promotions(history: LedgerHistory, ended: set[str], created: dict[str, str]) -> Iterator[tuple[float, ...]]:
    """Yield, for each end, seconds from the release of the place until the next of the line had it and all the rest."""
    rows = {row["session"]: row for row in history.sessions()}
    changes = history.changes()
    for place, end in enumerate(changes):
        if end["type"] != ENDED or end["session"] not in ended:
            continue
        following = next(one for one in changes[place:] if one["type"] == ADMITTED)
        row, began = rows[following["session"]], datetime.fromisoformat(end["ledgerAt"])
        moments = (following["ledgerAt"], row["app_put_at"], created[f"dbg-{row['session']}"], row["running_at"])
        yield tuple((datetime.fromisoformat(moment) - began).total_seconds() for moment in moments)


def show_promotions(found: list[tuple[float, ...]]) -> None:
    names = ("the next in line has the place", "its driver is awake", "its app is created", "it runs")
    rows = [
        [name, len(found), *(f"{percentile(seconds, p):.2f}" for p in (50, 95, 100))]
        for name, seconds in zip(names, zip(*found, strict=True), strict=True)
    ]
    show("From the release of a place, seconds", ["until", "ends", "p50", "p95", "max"], rows)
