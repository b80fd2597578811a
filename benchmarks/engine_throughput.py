"""The durable engine alone: orchestrations a second, a long generation, and a crowd that only waits."""

from __future__ import annotations

import asyncio
import json
import tempfile
import time
from collections.abc import Callable, Generator
from datetime import timedelta
from pathlib import Path
from typing import Any

import azure.durable_functions as df
import psutil
from azure.functions import OrchestrationContext

from benchmarks.table import show
from localcloud.durable.client_api import DurableClientApi
from localcloud.durable.clock import SystemClock
from localcloud.durable.decisions import Status
from localcloud.durable.engine import DurableEngine
from localcloud.durable.options import DurableOptions
from localcloud.durable.ports import FunctionKind
from localcloud.durable.rows import InstanceQuery

Story = Generator[Any, Any, Any]
MEBIBYTE = 1024 * 1024


def three_steps(context: Any) -> Story:
    for number in range(3):
        yield context.call_activity("step", number)


def many_steps(context: Any) -> Story:
    for number in range(context.get_input()):
        yield context.call_activity("step", number)


def waits(context: Any) -> Story:
    timer = context.create_timer(context.current_utc_datetime + timedelta(hours=1))
    yield context.task_any([timer, context.wait_for_external_event("go")])


class Stories:
    """The functions, as the engine calls them; orchestrators through the SDK, in this thread."""

    def __init__(self) -> None:
        self._stories: dict[str, Callable[[Any], str]] = {
            story.__name__: df.Orchestrator.create(story) for story in (three_steps, many_steps, waits)
        }

    def kind_of(self, name: str) -> FunctionKind | None:
        return "orchestration" if name in self._stories else "activity"

    def registered_name(self, name: str) -> str:
        return name

    async def call_orchestrator(self, name: str, payload: str) -> str:
        return self._stories[name](OrchestrationContext(payload))

    async def call_entity(self, name: str, payload: str) -> str:
        raise NotImplementedError

    async def call_activity(self, name: str, input_text: str | None, instance_id: str) -> str | None:
        return input_text


async def crowd(engine: DurableEngine, name: str, number: int, value: object = None) -> float:
    """Start so many at once and wait until nothing is left to do; returns seconds. All must have completed."""
    client = DurableClientApi(engine)
    text = json.dumps(json.dumps(value))
    began = time.perf_counter()
    await asyncio.gather(*(client.start(name, f"{name}-{index}", text, None) for index in range(number)))
    await quiet(engine)
    took = time.perf_counter() - began
    done = engine.journal.instances(InstanceQuery(prefix=name, statuses=(Status.COMPLETED,), top=number))
    if len(done) < number:
        raise RuntimeError(f"only {len(done)} of {number} completed")
    return took


async def quiet(engine: DurableEngine) -> None:
    """Return when nothing runs and nothing is being written."""
    while not engine.is_quiet:  # noqa: ASYNC110  # the engine tells nobody that it is at rest
        await asyncio.sleep(0.01)


async def waiting(engine: DurableEngine, number: int, watched_s: float) -> tuple[float, float, int]:
    """Start so many that only wait; returns MiB that they took, seconds of CPU while watched, and commits then."""
    process = psutil.Process()
    client = DurableClientApi(engine)
    before = process.memory_info().rss
    for first in range(0, number, 500):
        names = [f"waits-{index}" for index in range(first, min(first + 500, number))]
        await asyncio.gather(*(client.start("waits", name, None, None) for name in names))
    await quiet(engine)
    taken = (process.memory_info().rss - before) / MEBIBYTE
    commits, used = engine.journal.commits, process.cpu_times()
    await asyncio.sleep(watched_s)
    after = process.cpu_times()
    return taken, max(0.0, after.user + after.system - used.user - used.system), engine.journal.commits - commits


async def measured(folder: Path, *, small: bool) -> list[tuple[object, ...]]:
    engine = DurableEngine(
        journal=folder / "journal.sqlite",
        options=DurableOptions(max_concurrent_activities=20, max_concurrent_orchestrators=20),
        caller=Stories(),
        clock=SystemClock(),
    )
    await engine.start()
    crowd_of, steps, sleepers, watched_s = (30, 40, 300, 1.0) if small else (600, 200, 10_000, 10.0)
    base = psutil.Process().memory_info().rss / MEBIBYTE
    took = await crowd(engine, "three_steps", crowd_of)
    rows: list[tuple[object, ...]] = [
        (f"{crowd_of} orchestrations of 3 activities, at once", f"{crowd_of / took:.0f} a second", "150 a second")
    ]
    took = await crowd(engine, "many_steps", 1, steps)
    rows.append((f"{steps} activities in one generation", f"{took:.1f} s", "under 10 s for 200"))
    taken, cpu, commits = await waiting(engine, sleepers, watched_s)
    whole = psutil.Process().memory_info().rss / MEBIBYTE
    rows.append((f"{sleepers} waiting instances: memory of the process", f"{whole:.0f} MiB", "under 150 MB"))
    rows.append(("    of it for the instances; at rest before", f"{taken:.0f} MiB; {base:.0f} MiB", ""))
    rows.append((f"    CPU in {watched_s:.0f} s of waiting; commits", f"{cpu:.2f} s; {commits}", "none"))
    await engine.stop()
    return rows


def run(*, small: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        rows = asyncio.run(measured(Path(folder), small=small))
    show("Durable engine, full sync, in one process with the SDK", ("what", "measured", "target"), rows)


if __name__ == "__main__":
    run(small=False)
