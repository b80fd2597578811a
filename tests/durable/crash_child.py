"""Processes that run an engine and kill themselves at a commit, one for each order that is read from standard input.

An order is a line of JSON: {"folder", "start", "kill_at", "when", "room"}. A fork of this process, which has everything
imported, opens the journal in the folder, starts so many orchestrations of each story unless the journal holds them,
and ends when all have. At commit number `kill_at` it is killed, as by kill -9, just before or after that commit; 0 is
never. With `room`, no file can grow beyond so many bytes: a full disk; a start that is refused ends the process, as it
would end any caller. Each call of an activity is one line in the folder's calls.log. The answer is the exit status.
"""

import asyncio
import json
import os
import resource
import signal
import sys
import warnings
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

from localcloud.durable.bill import Statement
from localcloud.durable.client_api import DurableClientApi, IdInUse
from localcloud.durable.clock import SystemClock
from localcloud.durable.decisions import Status
from localcloud.durable.engine import DurableEngine
from localcloud.durable.journal import Journal, NotWritten
from localcloud.durable.options import DurableOptions
from localcloud.durable.rows import InstanceQuery
from tests.durable.programs import Program, Story

AT_ONCE = 4
STORIES = ("three_steps", "sleeps_and_calls", "waits_for_go", "two_generations")
program = Program()
log_path = Path()


@program.activity
async def step(order: dict[str, Any]) -> int:
    with log_path.open("a", encoding="utf-8") as log:
        log.write(f"{order['of']} {order['number']}\n")
    await asyncio.sleep(0.002)
    return int(order["number"])


@program.orchestrator
def three_steps(context: Any) -> Story:
    done = []
    for number in range(3):
        result = yield context.call_activity("step", {"of": context.instance_id, "number": number})
        done.append(result)
    return done


@program.orchestrator
def sleeps_and_calls(context: Any) -> Story:
    """A timer, then a child of its own."""
    yield context.create_timer(context.current_utc_datetime + timedelta(milliseconds=20))
    return (yield context.call_sub_orchestrator("three_steps", None, f"{context.instance_id}-child"))


@program.orchestrator
def waits_for_go(context: Any) -> Story:
    yield context.wait_for_external_event("go")
    return (yield from three_steps(context))


@program.orchestrator
def two_generations(context: Any) -> Story:
    if context.get_input() is None:
        context.continue_as_new("second")
        return None
    return (yield from three_steps(context))


def kill_at(commit: int, when: str) -> None:
    """Have this process die just before or after a commit."""
    write = Journal._write

    def dying(self: Journal, group: Sequence[Sequence[Statement]]) -> None:
        last = self.commits == commit - 1
        if last and when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        write(self, group)
        if last and when == "after":
            os.kill(os.getpid(), signal.SIGKILL)

    Journal._write = dying  # type: ignore[method-assign]


async def live(journal: Path, number: int) -> None:
    options = DurableOptions(max_concurrent_activities=AT_ONCE, max_concurrent_orchestrators=AT_ONCE)
    engine = DurableEngine(journal=journal, options=options, caller=program, clock=SystemClock())
    await engine.start()
    client = DurableClientApi(engine)
    await asyncio.gather(
        *(started(client, story, f"{story}-{index:03d}") for story in STORIES for index in range(number))
    )
    while not all(row.status.is_final for row in engine.journal.instances(InstanceQuery(top=10_000))):
        for row in engine.journal.instances(InstanceQuery(prefix="waits_for_go", statuses=(Status.RUNNING,))):
            await client.raise_event(row.instance_id, "go", "1")
        await asyncio.sleep(0.02)
    await engine.stop()


async def started(client: DurableClientApi, story: str, name: str) -> None:
    """Start it, unless an earlier process has: a finished one would be replaced."""
    if client._engine.executions.row(name) is None:
        try:
            await client.start(story, name, None, None)
        except IdInUse:
            return


def obey(order: dict[str, Any]) -> None:
    global log_path
    folder = Path(order["folder"])
    log_path = folder / "calls.log"
    if order["kill_at"]:
        kill_at(order["kill_at"], order["when"])
    if order.get("room") is not None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (order["room"], order["room"]))
    asyncio.run(live(folder / "journal", order["start"]))


def main() -> None:
    warnings.simplefilter("ignore")
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            try:
                obey(json.loads(line))
            except NotWritten:
                os._exit(1)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    main()
