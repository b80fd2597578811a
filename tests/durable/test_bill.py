"""The bill: each step at what it was measured to cost on the vendor's engine, by instance and by function."""

import asyncio
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from localcloud.durable.bill import PRICES, Step
from localcloud.durable.web import DurableAddresses, DurableHttpApi, WebRequest
from tests.durable.hub import Hub, in_hub, opened
from tests.durable.programs import Program, Story

pytestmark = pytest.mark.filterwarnings("ignore:Potential duplicate Task completion")
program = Program()


@program.activity
def echo(value: Any) -> Any:
    return value


@program.orchestrator
def does_nothing(context: Any) -> Story:
    yield from ()


@program.orchestrator
def ten_steps(context: Any) -> Story:
    for number in range(10):
        yield context.call_activity("echo", number)


@program.orchestrator
def session(context: Any) -> Story:
    """A whole session's life, as in durable-measured.md 2: set-up, windows and wakes with reads, tear-down."""
    for number in range(3):
        yield context.call_activity("echo", number)
    waits = 0
    wake = context.wait_for_external_event("wake-0")
    for number in range(6):
        yield context.call_activity("echo", number)
        if number == 5:
            break
        timer = context.create_timer(context.current_utc_datetime + timedelta(minutes=10))
        won = yield context.task_any([wake, timer])
        if won is wake:
            timer.cancel()
            waits += 1
            wake = context.wait_for_external_event(f"wake-{waits}")
    for number in range(2):
        yield context.call_activity("echo", number)


@program.orchestrator
def five_generations(context: Any) -> Story:
    number = int(context.get_input() or 0)
    if number < 5:
        context.continue_as_new(str(number + 1))
    yield from ()


@program.orchestrator
def leaves_a_stale_timer(context: Any) -> Story:
    if context.get_input() is None:
        timer = context.create_timer(context.current_utc_datetime + timedelta(minutes=1))
        yield context.task_any([timer, context.call_activity("echo", 1)])
        timer.cancel()
        context.continue_as_new("second")
        return
    yield context.wait_for_external_event("never")


@program.orchestrator
def calls_a_child(context: Any) -> Story:
    yield context.call_sub_orchestrator("does_nothing", None, "child")


async def bill(hub: Hub, instance_id: str | None = None) -> dict[str, Any]:
    api = DurableHttpApi(hub.engine, DurableAddresses(public_origin="", rpc_origin=""))
    query = "" if instance_id is None else f"instance={instance_id}"
    answer = await api.rpc(WebRequest(method="GET", raw_path="_bill", query=query))
    told: dict[str, Any] = json.loads(answer.body)
    return told


@pytest.mark.parametrize(
    ("story", "queue", "table"),
    [("does_nothing", 2, 6), ("ten_steps", 42, 36), ("five_generations", 2, 6), ("calls_a_child", 6, 15)],
)
def test_an_orchestration_costs_what_was_measured(story: str, queue: int, table: int, tmp_path: Path) -> None:
    async def scene(hub: Hub) -> None:
        await hub.start(story)
        await hub.run_out()
        assert (await bill(hub))["total"] == {"queue": queue, "table": table, "blob": 0, "all": queue + table}

    in_hub(tmp_path / "journal", program, scene)


def test_a_whole_session_costs_about_what_was_measured(tmp_path: Path) -> None:
    async def scene(hub: Hub) -> None:
        await hub.start("session")
        await hub.pass_time(timedelta(minutes=15))
        await hub.raise_event("wake-0")
        await hub.pass_time(timedelta(minutes=15))
        await hub.raise_event("wake-1")
        await hub.run_out()
        assert hub.status() == "Completed"
        told = await bill(hub, "one")
        assert told["byFunction"]["echo"]["steps"] == {"activity": 11}
        assert told["byFunction"]["session"]["steps"] == {"start and completion": 1, "timer": 5, "event": 2}
        assert abs(told["total"]["all"] - 117) <= 10  # 117 were counted, of which a few steps shared a batch
        before = told["total"]["all"]
        await hub.client.purge("one")
        after = await bill(hub)
        assert after["total"]["all"] == before + 6
        assert after["byInstance"] == {}
        assert (await bill(hub, "one"))["total"]["all"] == 0

    in_hub(tmp_path / "journal", program, scene)


def test_a_timer_left_behind_by_continue_as_new_is_dearer(tmp_path: Path) -> None:
    async def scene(hub: Hub) -> None:
        await hub.start("leaves_a_stale_timer")
        await hub.run_out()
        told = await bill(hub, "one")
        assert told["byFunction"]["leaves_a_stale_timer"]["steps"] == {"start and completion": 1, "stale timer": 1}
        assert told["total"]["all"] == 8 + 7 + 13

    in_hub(tmp_path / "journal", program, scene)


def test_reads_refused_events_and_control_are_booked_by_instance(tmp_path: Path) -> None:
    async def scene(hub: Hub) -> None:
        api = DurableHttpApi(hub.engine, DurableAddresses(public_origin="", rpc_origin=""))
        await hub.start("does_nothing")
        await hub.settle()
        await hub.raise_event("late")
        for instance in ("one", "one", "nobody"):
            await api.rpc(WebRequest(method="GET", raw_path=f"instances/{instance}"))
        assert (await bill(hub, "one"))["byFunction"]["does_nothing"]["steps"][Step.READ] == 3
        assert (await bill(hub))["total"]["all"] == 8 + 4
        await hub.start("leaves_a_stale_timer", instance_id="two")
        await hub.settle()
        await hub.client.suspend("two", "wait")
        await hub.settle()
        await hub.client.terminate("two", "stop")
        await hub.settle()
        steps = (await bill(hub, "two"))["byFunction"]["leaves_a_stale_timer"]["steps"]
        assert (steps[Step.TERMINATE], steps[Step.CONTROL]) == (1, 1)

    in_hub(tmp_path / "journal", program, scene)


def test_the_bill_outlives_the_host(tmp_path: Path) -> None:
    async def run() -> None:
        async with opened(tmp_path / "journal", program) as hub:
            await hub.start("ten_steps")
            await hub.settle()
            before = await bill(hub)
        async with opened(tmp_path / "journal", program) as hub:
            assert await bill(hub) == before

    asyncio.run(run())


def test_every_step_has_a_price_and_only_reckoned_ones_say_so() -> None:
    assert set(PRICES) == set(Step)
    assert {step for step, price in PRICES.items() if not price.measured} == {Step.CONTROL, Step.CHILD, Step.ENTITY}
