"""A process that runs an engine and kills itself at a commit: `crash_child.py JOURNAL LOG START KILL_AT WHEN`.

It starts START orchestrations of three activities each, unless the journal holds them, and ends when all have.
At commit number KILL_AT it is killed, as by kill -9, just WHEN ("before" or "after") that commit; 0 is never.
Each call of an activity is one line in LOG.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from localcloud.durable.bill import Statement
from localcloud.durable.client_api import DurableClientApi
from localcloud.durable.clock import SystemClock
from localcloud.durable.decisions import Status
from localcloud.durable.engine import DurableEngine
from localcloud.durable.journal import Journal
from localcloud.durable.options import DurableOptions
from localcloud.durable.rows import InstanceQuery
from tests.durable.programs import Program, Story

AT_ONCE = 4
program = Program()
log_path = Path(sys.argv[2])


def note_call(line: str) -> None:
    with log_path.open("a", encoding="utf-8") as log:
        log.write(line)


@program.activity
async def step(order: dict[str, Any]) -> int:
    note_call(f"{order['of']} {order['number']}\n")
    await asyncio.sleep(0.002)
    return int(order["number"])


@program.orchestrator
def three_steps(context: Any) -> Story:
    done = []
    for number in range(3):
        result = yield context.call_activity("step", {"of": context.instance_id, "number": number})
        done.append(result)
    return done


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


async def main(journal: Path, number: int) -> None:
    options = DurableOptions(max_concurrent_activities=AT_ONCE, max_concurrent_orchestrators=AT_ONCE)
    engine = DurableEngine(journal=journal, options=options, caller=program, clock=SystemClock())
    await engine.start()
    client = DurableClientApi(engine)
    known = {row.instance_id for row in engine.journal.instances(InstanceQuery(top=1_000))}
    wanted = {f"instance-{index:03d}" for index in range(number)}
    await asyncio.gather(*(client.start("three_steps", name, None, None) for name in sorted(wanted - known)))
    completed = InstanceQuery(statuses=(Status.COMPLETED,), top=1_000)
    while len(engine.journal.instances(completed)) < number:  # the journal is the judge
        await asyncio.sleep(0.02)
    await engine.stop()


if __name__ == "__main__":
    if int(sys.argv[4]):
        kill_at(int(sys.argv[4]), sys.argv[5])
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[3])))
