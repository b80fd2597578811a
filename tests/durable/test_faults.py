"""The fault switches: each makes the engine fail as the vendor's was seen to, and only as long as it is set."""

import asyncio
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from localcloud.durable.faults import Faults, FaultsError
from localcloud.durable.history import event_raised
from localcloud.durable.web import DurableAddresses, DurableHttpApi, WebRequest, WebResponse
from tests.durable.hub import START, Hub, in_hub, opened
from tests.durable.programs import Program, Story

pytestmark = pytest.mark.filterwarnings("ignore:Potential duplicate Task completion")
program = Program()


@program.activity
def echo(value: Any) -> Any:
    return value


@program.activity
async def never_ends(_value: Any) -> None:
    await asyncio.Event().wait()


@program.orchestrator
def steps_then_waits(context: Any) -> Story:
    yield context.call_activity("echo", 1)
    return (yield context.wait_for_external_event("go"))


@program.orchestrator
def survives_a_lost_worker(context: Any) -> Story:
    try:
        yield context.call_activity("never_ends", None)
    except Exception as error:
        return str(error).split(" \n", 1)[0]


@program.orchestrator
def sleeps_a_minute(context: Any) -> Story:
    due = context.current_utc_datetime + timedelta(minutes=1)
    yield context.create_timer(due)
    return (due - context.current_utc_datetime).total_seconds()


@program.orchestrator
def sleeps_short_of_a_minute(context: Any) -> Story:
    due = context.current_utc_datetime + timedelta(seconds=59.5)
    yield context.create_timer(due)
    return (due - context.current_utc_datetime).total_seconds()


@program.orchestrator
def leaves_a_timer_behind(context: Any) -> Story:
    """Continues as new with a cancelled timer still on its way."""
    if context.get_input() is None:
        timer = context.create_timer(context.current_utc_datetime + timedelta(minutes=1))
        yield context.task_any([timer, context.call_activity("echo", 1)])
        timer.cancel()
        context.continue_as_new("second")
        return None
    return (yield context.wait_for_external_event("go"))


def play(tmp_path: Path, scene: Any) -> None:
    in_hub(tmp_path / "journal", program, scene)


async def switch(hub: Hub, **wanted: Any) -> WebResponse:
    api = DurableHttpApi(hub.engine, DurableAddresses(public_origin="", rpc_origin=""))
    return await api.rpc(WebRequest(method="PUT", raw_path="_faults", body=json.dumps(wanted).encode()))


def test_the_next_event_is_lost_although_it_is_accepted(tmp_path: Path) -> None:
    async def scene(hub: Hub) -> None:
        await hub.start("steps_then_waits")
        await hub.settle()
        await switch(hub, loseEvents={"count": 1, "skip": 1, "name": "go", "instance": "one"})
        await hub.raise_event("other", "0")
        await hub.raise_event("go", "1", instance_id="one")
        assert (hub.status(), hub.output()) == ("Completed", 1)

        await hub.start("steps_then_waits")
        await hub.settle()
        await hub.raise_event("go", "2")
        assert hub.status() == "Running"
        await hub.raise_event("go", "3")
        assert hub.output() == 3

    play(tmp_path, scene)


def test_a_terminate_is_swallowed_and_its_repetition_is_not(tmp_path: Path) -> None:
    async def scene(hub: Hub) -> None:
        await hub.start("steps_then_waits")
        await hub.settle()
        await switch(hub, loseTerminates={"count": 1})
        for expected in ("Running", "Terminated"):
            await hub.client.terminate("one", "stop")
            await hub.settle()
            assert hub.status() == expected

    play(tmp_path, scene)


def test_a_worker_killed_in_an_episode_fails_the_orchestration_for_good(tmp_path: Path) -> None:
    async def scene(hub: Hub) -> None:
        await hub.start("steps_then_waits")
        await hub.start("steps_then_waits", instance_id="two")
        await hub.settle()
        await switch(hub, failEpisodes={"count": 1, "instance": "one", "now": True})
        await hub.settle()
        assert (hub.status(), hub.status("two")) == ("Failed", "Running")
        assert hub.output().startswith("Non-Deterministic workflow detected: ")

    play(tmp_path, scene)


def test_running_activities_fail_as_lost_with_their_worker(tmp_path: Path) -> None:
    async def scene(hub: Hub) -> None:
        await hub.start("survives_a_lost_worker")
        while not program.calls or program.calls[-1][0] != "never_ends":  # a list tells, no event
            await asyncio.sleep(0.001)
        await switch(hub, killWorker=True)
        await hub.settle()
        assert hub.output() == "Activity function 'never_ends' failed: python exited with code 137 (0x89)"

    play(tmp_path, scene)


def test_the_next_activity_fails_before_it_runs(tmp_path: Path) -> None:
    async def scene(hub: Hub) -> None:
        before = len(program.calls)
        await switch(hub, failActivities={"count": 1, "name": "echo"})
        await hub.start("steps_then_waits")
        await hub.settle()
        assert (hub.status(), len(program.calls)) == ("Failed", before)

    play(tmp_path, scene)


def test_timers_fire_up_to_a_second_early_and_their_order_of_lots_can_be_repeated(tmp_path: Path) -> None:
    seen: list[float] = []

    async def scene(hub: Hub) -> None:
        await switch(hub, seed=7, timersEarly={"upToSeconds": 1})
        await hub.start("sleeps_a_minute", instance_id=f"sleeper-{len(seen)}")
        await hub.run_out()
        seen.append(hub.output(f"sleeper-{len(seen)}"))

    for folder in ("a", "b"):
        play(tmp_path / folder, scene)
    assert 0 < seen[0] <= 1
    assert seen[0] == seen[1]


def test_the_time_to_a_timer_is_cut_to_whole_seconds_on_demand(tmp_path: Path) -> None:
    async def scene(hub: Hub) -> None:
        hub.clock.advance(timedelta(milliseconds=300))
        await switch(hub, timersInWholeSeconds=True)
        await hub.start("sleeps_short_of_a_minute")
        await hub.pass_time(timedelta(seconds=58))
        assert hub.status() == "Running"
        await hub.pass_time(timedelta(seconds=1))
        assert (hub.status(), hub.output()) == ("Completed", 0.5)

    play(tmp_path, scene)


@pytest.mark.parametrize(("count", "status"), [(0, "Completed"), (1, "Running")])
def test_an_event_is_lost_that_comes_with_a_timer_of_an_earlier_generation(
    count: int, status: str, tmp_path: Path
) -> None:
    async def scene(hub: Hub) -> None:
        await switch(hub, loseBesideTimers={"count": count})
        await hub.start("leaves_a_timer_behind")
        await hub.settle()
        (stale,) = hub.engine.journal.messages()
        event = event_raised(stale.event["Timestamp"], "go", "1")
        hub.clock.advance_to(START + timedelta(minutes=2))
        both = [stale, hub.engine.factory.message("one", event)]
        hub.engine._mailroom.deliver(both)  # fetched together, as the vendor's queue gives them out
        await hub.settle()
        assert hub.status() == status

    play(tmp_path, scene)


def test_an_activity_of_an_uncommitted_episode_runs_twice(tmp_path: Path) -> None:
    async def scene(hub: Hub) -> None:
        before = len(program.calls)
        await switch(hub, repeatFirstActivities={"count": 1})
        await hub.start("steps_then_waits")
        await hub.settle()
        assert len(program.calls) - before == 2

    play(tmp_path, scene)


def test_a_start_that_is_seen_late_still_comes_before_the_event_that_followed_it(tmp_path: Path) -> None:
    async def scene(hub: Hub) -> None:
        await switch(hub, startsLate={"seconds": 30})
        await hub.start("steps_then_waits")
        await hub.raise_event("go", "1")
        assert hub.status() == "Pending"
        await hub.run_out()
        assert (hub.status(), hub.output()) == ("Completed", 1)

    play(tmp_path, scene)


def test_work_in_hand_comes_back_late_after_a_restart(tmp_path: Path) -> None:
    async def run() -> None:
        async with opened(tmp_path / "journal", program) as hub:
            await switch(hub, fetchedWorkLate={"seconds": 60})
            await hub.start("survives_a_lost_worker")
            while hub.engine.is_quiet:
                await asyncio.sleep(0.001)
        called = len(program.calls)
        async with opened(tmp_path / "journal", program) as hub:
            await hub.pass_time(timedelta(seconds=59))
            assert len(program.calls) == called
            hub.clock.advance(timedelta(seconds=1))
            while len(program.calls) == called:  # a list tells, no event
                await asyncio.sleep(0.001)
            hub.engine.clear_faults()

    asyncio.run(run())
    assert not list(tmp_path.glob("*.faults.json"))


def test_the_switches_are_told_with_their_meaning_and_cleared(tmp_path: Path) -> None:
    async def scene(hub: Hub) -> None:
        told = json.loads((await switch(hub, timersLate=2, loseEvents={"count": 3})).body)
        assert told["faults"]["timersLate"] == {"upToSeconds": 2.0}
        assert told["faults"]["loseEvents"]["count"] == 3
        assert set(told["faults"]) <= set(told["meaning"])
        api = DurableHttpApi(hub.engine, DurableAddresses(public_origin="", rpc_origin=""))
        cleared = json.loads((await api.rpc(WebRequest(method="DELETE", raw_path="_faults"))).body)
        assert cleared["faults"] == {}
        assert (await api.webhook(WebRequest(method="GET", raw_path="_faults"))).status == 404

    play(tmp_path, scene)


@pytest.mark.parametrize(
    "wanted",
    [{"noSuchSwitch": 1}, {"loseEvents": {"count": "many"}}, {"loseEvents": {"often": 1}}, {"timersEarly": -1}],
    ids=str,
)
def test_a_switch_that_cannot_be_set_changes_nothing(wanted: dict[str, Any]) -> None:
    faults = Faults()
    with pytest.raises(FaultsError):
        faults.change({"loseTerminates": {"count": 1}, **wanted})
    assert faults.shown()["faults"] == {}
