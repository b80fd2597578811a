"""Between the host's functions and the API: the durable engine is asked only after the rows are written."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import replace
from functools import partial
from typing import Any

import azure.functions as func

from activities.promoting import wake_promoted
from activities.refusal_writer import RefusalWriter
from activities.sweep_lease import start_if_overdue
from activities.sweep_now import sweep_now
from activities.waking import raise_wake
from api.call import Reply
from api.operations import Operation
from api.serve import answer, rendered
from api.sweeps import report_view
from api.traced import watched
from shared.ports.drivers import Drivers, DriverUnknown, DurableDrivers
from shared.ports.world import World, world

log = logging.getLogger("devboxgpu.api")

COMMANDS = ThreadPoolExecutor(4, thread_name_prefix="command")
"""Commands are decided four at a time in a process. With more, the ledger's desk takes more of them together and
answers come sooner; with fewer, the first of a crowd goes through while the last still waits. Measured with 2, 4 and 8,
seconds at the median: 500 requests, 50 at once, answered in 2.5, 2.0, 1.8; fifty shells running after 3.2, 4.0, 5.3."""


REFUSALS = RefusalWriter(world)
ASIDE: set[asyncio.Task[object]] = set()


def serve_reading(operation: Operation, request: func.HttpRequest) -> func.HttpResponse:
    """Answer a request that asks nothing of the durable engine, in a thread of the worker's."""
    REFUSALS.begin()
    ports = world()
    with watched(operation, request, ports) as request_seen:
        return request_seen.answered(rendered(answer(operation, request, ports), request))


async def serve_command(operation: Operation, request: func.HttpRequest, client: Any) -> func.HttpResponse:
    """Answer a request that commands. Handlers block on storage, so they run beside the worker's loop."""
    REFUSALS.begin()
    loop = asyncio.get_running_loop()
    ports = await loop.run_in_executor(COMMANDS, world)  # made by the first call: it blocks on storage
    with watched(operation, request, ports) as request_seen:
        decide = partial(copy_context().run, answer, operation, request, ports)
        reply = await loop.run_in_executor(COMMANDS, decide)
        return request_seen.answered(await _carried_out(reply, request, DurableDrivers(client), ports))


async def serve_with(
    operation: Operation, request: func.HttpRequest, ports: World, drivers: Drivers
) -> func.HttpResponse:
    """Answer one request with these ports and drivers."""
    with watched(operation, request, ports) as request_seen:
        reply = await asyncio.to_thread(answer, operation, request, ports)
        return request_seen.answered(await _carried_out(reply, request, drivers, ports))


async def _carried_out(reply: Reply, request: func.HttpRequest, drivers: Drivers, ports: World) -> func.HttpResponse:
    if reply.start is not None:
        try:
            await drivers.start(reply.start)
        except DriverUnknown as trouble:  # the row is there: the keeper starts a driver that is missing
            log.warning("driver.unsure session=%s why=%s", reply.start.session, trouble)
    for session in reply.wake:
        await raise_wake(ports, drivers, session)
    await wake_promoted(ports, drivers)
    if reply.sweep is not None:
        report = await sweep_now(ports, drivers, reply.sweep.project, dry_run=reply.sweep.dry_run)
        reply = replace(reply, body=report_view(report))
    _aside(start_if_overdue(ports, drivers))
    return rendered(reply, request)


def _aside(work: Coroutine[Any, Any, object]) -> None:
    """Let work go on that no answer waits for. The loop keeps only weak references to its tasks."""
    task = asyncio.get_running_loop().create_task(work)
    ASIDE.add(task)
    task.add_done_callback(ASIDE.discard)
