"""A hub for tests: an engine on a virtual clock, moved on from due time to due time until nothing is left to do."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from localcloud.durable.client_api import DurableClientApi
from localcloud.durable.clock import VirtualClock
from localcloud.durable.engine import DurableEngine
from localcloud.durable.options import DurableOptions
from localcloud.durable.rows import Instance
from localcloud.durable.status_view import history_view
from localcloud.durable.texts import json_or_text
from tests.durable.programs import Program

START = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


class Hub:
    """What a test does to an engine, and sees of it."""

    def __init__(self, engine: DurableEngine, clock: VirtualClock) -> None:
        self.engine = engine
        self.clock = clock
        self.client = DurableClientApi(engine)

    async def settle(self) -> None:
        """Wait until only the passing of time, or a caller, could move anything."""
        quiet = 0
        while quiet < 5:  # turns of the loop in a row, so that whoever was woken can begin
            await asyncio.sleep(0 if self.engine.is_quiet else 0.001)
            quiet = quiet + 1 if self.engine.is_quiet else 0

    async def pass_time(self, span: timedelta) -> None:
        """Let so much time pass, stopping wherever something comes due."""
        end = self.clock.now() + span
        await self.settle()
        while (due := self.clock.next_due()) is not None and due <= end:
            self.clock.advance_to(due)
            await self.settle()
        self.clock.advance_to(end)
        await self.settle()

    async def run_out(self) -> None:
        """Let time pass until nothing is due any more."""
        await self.settle()
        while (due := self.clock.next_due()) is not None:
            self.clock.advance_to(due)
            await self.settle()

    async def start(self, name: str, value: Any = None, instance_id: str = "one") -> str:

        text = None if value is None else json.dumps(json.dumps(value))
        return await self.client.start(name, instance_id, text, None)

    async def raise_event(self, name: str, text: str = "null", instance_id: str = "one") -> None:
        await self.client.raise_event(instance_id, name, text)
        await self.settle()

    def row(self, instance_id: str = "one") -> Instance:
        row = self.engine.journal.instance(instance_id)
        assert row is not None, f"no instance {instance_id}"
        return row

    def status(self, instance_id: str = "one") -> str:
        return self.row(instance_id).status.value

    def output(self, instance_id: str = "one") -> Any:
        return json_or_text(self.row(instance_id).output)

    def events(self, instance_id: str = "one") -> list[str]:
        """The kinds of events as a caller sees them."""
        shown = history_view(self.engine.journal.history(instance_id), show_output=True)
        return [entry["EventType"] for entry in shown]


@asynccontextmanager
async def opened(
    journal: Path, program: Program, *, options: DurableOptions | None = None, now: datetime = START
) -> AsyncIterator[Hub]:
    clock = VirtualClock(now)
    engine = DurableEngine(journal=journal, options=options or DurableOptions(), caller=program, clock=clock)
    await engine.start()
    try:
        yield Hub(engine, clock)
    finally:
        await engine.stop(drain_s=0)


def in_hub(
    journal: Path, program: Program, play: Callable[[Hub], Awaitable[None]], *, options: DurableOptions | None = None
) -> None:
    """Run a test's coroutine in a hub of its own."""

    async def run() -> None:
        async with opened(journal, program, options=options) as hub:
            await play(hub)

    asyncio.run(run())
