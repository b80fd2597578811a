"""Between the host's functions and the API: the durable engine is asked only after the rows are written."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import azure.functions as func

from activities.keeping import raise_wake
from api.operations import Operation
from api.serve import answer, rendered
from shared.ports.drivers import Drivers, DriverUnknown, DurableDrivers
from shared.ports.world import World, world

log = logging.getLogger("devboxgpu.api")


async def serve(operation: Operation, request: func.HttpRequest, client: Any) -> func.HttpResponse:
    """Answer one request. Handlers block on storage, so they run beside the worker's loop."""
    return await serve_with(operation, request, await asyncio.to_thread(world), DurableDrivers(client))


async def serve_with(
    operation: Operation, request: func.HttpRequest, ports: World, drivers: Drivers
) -> func.HttpResponse:
    reply = await asyncio.to_thread(answer, operation, request, ports)
    if reply.start is not None:
        try:
            await drivers.start(reply.start)
        except DriverUnknown as trouble:  # the row is there: the keeper starts a driver that is missing
            log.warning("driver.unsure session=%s why=%s", reply.start.session, trouble)
    for session in reply.wake:
        await raise_wake(ports, drivers, session)
    return rendered(reply, request)
