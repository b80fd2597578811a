"""Starting, stopping and trouble: what runs is drained, what cannot be finished is run again, and nothing hangs."""

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from localcloud.durable.clock import VirtualClock
from localcloud.durable.engine import DurableEngine
from localcloud.durable.journal import JournalError
from localcloud.durable.options import DurableOptions
from tests.durable.hub import START, Hub, in_hub, opened
from tests.durable.programs import Program, Story


class Gate(Program):
    """An app whose one activity ends when the test says so."""

    def __init__(self) -> None:
        super().__init__()
        self.opened = asyncio.Event()
        self.entered = asyncio.Event()
        self.activity(self.passes)
        self.orchestrator(goes_through)

    async def passes(self, value: Any) -> Any:
        self.entered.set()
        await self.opened.wait()
        return value


def goes_through(context: Any) -> Story:
    return (yield context.call_activity("passes", "through"))


def engine_on(journal: Path, program: Program) -> DurableEngine:
    return DurableEngine(journal=journal, options=DurableOptions(), caller=program, clock=VirtualClock(START))


def test_an_activity_that_ends_during_the_stop_keeps_its_result(tmp_path: Path) -> None:
    async def run() -> None:
        program = Gate()
        engine = engine_on(tmp_path / "journal", program)
        await engine.start()
        await Hub(engine, VirtualClock(START)).start("goes_through")
        await program.entered.wait()
        stopping = asyncio.create_task(engine.stop(drain_s=30))
        program.opened.set()
        await stopping
        async with opened(tmp_path / "journal", program) as hub:
            await hub.settle()
            assert (hub.output(), len(program.calls)) == ("through", 1)

    asyncio.run(run())


def test_an_activity_that_outlasts_the_stop_is_run_again_at_the_next_start(tmp_path: Path) -> None:
    async def run() -> None:
        program = Gate()
        engine = engine_on(tmp_path / "journal", program)
        await engine.start()
        await Hub(engine, VirtualClock(START)).start("goes_through")
        await program.entered.wait()
        await engine.stop(drain_s=0)
        program.opened.set()
        async with opened(tmp_path / "journal", program) as hub:
            await hub.settle()
            assert (hub.output(), len(program.calls)) == ("through", 2)

    asyncio.run(run())


def test_a_second_engine_on_the_journal_does_not_start(tmp_path: Path) -> None:
    async def play(_hub: Hub) -> None:
        with pytest.raises(JournalError, match="in use by another functions host"):
            await engine_on(tmp_path / "journal", Gate()).start()

    in_hub(tmp_path / "journal", Gate(), play)


def test_no_more_activities_run_at_once_than_host_json_allows(tmp_path: Path) -> None:
    running, most = 0, 0
    program = Program()

    @program.activity
    async def counts(_value: Any) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.001)
        running -= 1

    @program.orchestrator
    def calls_many(context: Any) -> Story:
        yield context.task_all([context.call_activity("counts", number) for number in range(20)])

    async def play(hub: Hub) -> None:
        await hub.start("calls_many")
        await hub.settle()
        assert hub.status() == "Completed"

    in_hub(tmp_path / "journal", program, play, options=DurableOptions(max_concurrent_activities=3))
    assert most == 3


def test_an_episode_that_breaks_is_put_back_and_tried_again(tmp_path: Path) -> None:
    class BreaksOnce(Program):
        broken = False

        async def call_orchestrator(self, name: str, payload: str) -> str:
            if not self.broken:
                self.broken = True
                raise RuntimeError("not the function: the way to it")
            return await super().call_orchestrator(name, payload)

    program = BreaksOnce()
    program.orchestrator(lambda_like)

    async def play(hub: Hub) -> None:
        await hub.start("lambda_like")
        await hub.settle()
        assert hub.status() == "Pending"
        await hub.pass_time(timedelta(seconds=10))
        assert (hub.status(), hub.output()) == ("Completed", "done")

    in_hub(tmp_path / "journal", program, play)


def lambda_like(_context: Any) -> str:
    return "done"


def test_a_way_to_an_activity_that_breaks_fails_the_activity_and_not_the_engine(tmp_path: Path) -> None:
    class Breaks(Program):
        async def call_activity(self, name: str, input_text: str | None, instance_id: str) -> str | None:
            raise LookupError(f"{name} is gone")

    program = Breaks()
    program.activity(lambda_like)
    program.orchestrator(calls_it)

    async def play(hub: Hub) -> None:
        await hub.start("calls_it")
        await hub.settle()
        assert hub.status() == "Failed"
        assert "LookupError: lambda_like is gone" in hub.output()

    in_hub(tmp_path / "journal", program, play)


def calls_it(context: Any) -> Story:
    yield context.call_activity("lambda_like", None)


def test_an_unknown_orchestrator_is_accepted_and_fails_with_the_known_names(tmp_path: Path) -> None:
    async def play(hub: Hub) -> None:
        await hub.start("nobody")
        await hub.settle()
        assert hub.status() == "Failed"
        assert hub.output().endswith("The following are the known orchestrator functions: 'goes_through'.")

    in_hub(tmp_path / "journal", Gate(), play)


def test_a_version_that_the_host_may_not_run_stays_pending_until_a_host_comes_that_may(tmp_path: Path) -> None:
    async def run() -> None:
        program = Gate()
        program.opened.set()
        async with opened(tmp_path / "journal", program) as hub:
            await hub.client.start("goes_through", "one", None, "1.5")
            await hub.run_out()
            assert hub.status() == "Pending"
        async with opened(tmp_path / "journal", program, options=DurableOptions(default_version="2.0")) as hub:
            await hub.settle()
            assert hub.output() == "through"

    asyncio.run(run())
