"""The rules of the vendor's engine, each shown by a small program that runs through the real SDK."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import azure.durable_functions as df
import pytest

from localcloud.durable.status_view import DoubleKey
from tests.durable.hub import Hub, in_hub
from tests.durable.programs import Program, Story

# The SDK warns of each message that no task waits for; here that is part of what is shown.
pytestmark = pytest.mark.filterwarnings("ignore:Potential duplicate Task completion")
program = Program()
TWICE = df.RetryOptions(first_retry_interval_in_milliseconds=5_000, max_number_of_attempts=2)


def later(context: Any, seconds: float) -> Any:
    return context.current_utc_datetime + timedelta(seconds=seconds)


@program.activity
def echo(value: Any) -> Any:
    return value


@program.activity
def fail(text: str) -> None:
    raise ValueError(text)


@program.orchestrator
def chain(context: Any) -> Story:
    first = yield context.call_activity("echo", 1)
    second = yield context.call_activity("ECHO", [first])
    return [first, second]


@program.orchestrator
def fan_out(context: Any) -> Story:
    return (yield context.task_all([context.call_activity("echo", number) for number in range(5)]))


@program.orchestrator
def made_but_not_yielded(context: Any) -> Story:
    context.call_activity("echo", "never")
    return (yield context.call_activity("echo", "yielded"))


@program.orchestrator
def retries_and_goes_on(context: Any) -> Story:
    try:
        yield context.call_activity_with_retry("fail", TWICE, "always")
    except Exception as error:
        caught = str(error).split(" \n", 1)[0]
    after = yield context.call_activity("echo", "after")
    return [caught, after]


@program.orchestrator
def fails_in_all(context: Any) -> Story:
    yield context.task_all([context.call_activity("fail", "one"), context.call_activity("echo", 2)])


@program.orchestrator
def calls_child(context: Any) -> Story:
    return (yield context.call_sub_orchestrator("says_who", None))


@program.orchestrator
def says_who(context: Any) -> Story:
    yield context.call_activity("echo", 1)
    return [context.instance_id.split(":")[1], context.parent_instance_id]


@program.orchestrator
def counts_generations(context: Any) -> Story:
    number = context.get_input()
    yield context.call_activity("echo", number)
    if number < 3:
        context.continue_as_new(number + 1)
        return None
    return number


@program.orchestrator
def raises(context: Any) -> Story:
    yield context.call_activity("echo", 1)
    raise KeyError("what happened")


@program.orchestrator
def status_too_large(context: Any) -> Story:
    context.set_custom_status("x" * 9_000)
    yield context.call_activity("echo", 1)


@program.orchestrator
def unknown_activity(context: Any) -> Story:
    yield context.call_activity("nobody_knows_this", 1)


@program.orchestrator
def leaks_a_credential(context: Any) -> Story:
    yield context.call_activity("echo", "https://example.org/blob?sig=abc")
    raise ValueError("the real reason")


@dataclass(frozen=True)
class Rule:
    """A program, how it ends, and the events that callers see."""

    orchestrator: str
    status: str
    output: Any
    events: str
    value: Any = None


RULES = [
    Rule("chain", "Completed", [1, [1]], "Started Task Task Ended"),
    Rule("fan_out", "Completed", [0, 1, 2, 3, 4], "Started Task Task Task Task Task Ended"),
    Rule("made_but_not_yielded", "Completed", "yielded", "Started Task Ended"),
    Rule(
        "retries_and_goes_on",
        "Completed",
        ["Activity function 'fail' failed:  ValueError: always", "after"],
        "Started TaskFailed Timer Fired TaskFailed Timer Fired Task Ended",
    ),
    Rule("calls_child", "Completed", ["0", "one"], "Started Child Ended"),
    Rule("counts_generations", "Completed", 3, "Started Task Ended", value=1),
    Rule("raises", "Failed", "Orchestrator function 'raises' failed: 'what happened'", "Started Task Ended"),
    Rule(
        "status_too_large",
        "Failed",
        "Orchestrator function 'status_too_large' failed: The UTF-16 size of the JSON-serialized payload must not "
        "exceed 16 KB. The current payload size is 17 KB.",
        "Started Ended",
    ),
    Rule("unknown_activity", "Running", None, "Started"),
    Rule(
        "leaks_a_credential",
        "Failed",
        "Non-Deterministic workflow detected: A previous execution of this orchestration scheduled an activity task "
        "with sequence ID 0 and name 'echo' (version ''), but the current replay execution hasn't (yet?) scheduled "
        "this task. Was a change made to the orchestrator code after this instance had already started running?",
        "Started Task Ended",
    ),
]
SHORT = {
    "ExecutionStarted": "Started",
    "ExecutionCompleted": "Ended",
    "TaskCompleted": "Task",
    "TimerCreated": "Timer",
    "TimerFired": "Fired",
    "SubOrchestrationInstanceCompleted": "Child",
    "EventRaised": "Event",
    "ExecutionTerminated": "Terminated",
}


def told(hub: Hub) -> str:
    return " ".join(SHORT.get(kind, kind) for kind in hub.events())


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.orchestrator)
def test_a_program_ends_as_on_the_vendors_engine(rule: Rule, tmp_path: Path) -> None:
    async def play(hub: Hub) -> None:
        await hub.start(rule.orchestrator, rule.value)
        await hub.run_out()
        assert (hub.status(), hub.output(), told(hub)) == (rule.status, rule.output, rule.events)

    in_hub(tmp_path / "journal", program, play)


def test_a_task_all_with_a_failed_child_carries_the_childs_error(tmp_path: Path) -> None:
    async def play(hub: Hub) -> None:
        await hub.start("fails_in_all")
        await hub.run_out()
        assert hub.status() == "Failed"
        expected = "Orchestrator function 'fails_in_all' failed: Activity function 'fail' failed:  ValueError: one \n "
        assert hub.output().startswith(expected)

    in_hub(tmp_path / "journal", program, play)


# -- events ------------------------------------------------------------------------------------------------------
@program.orchestrator
def three_events(context: Any) -> Story:
    yield context.create_timer(later(context, 60))
    found = []
    for _ in range(3):
        data = yield context.wait_for_external_event("go")
        found.append(data)
    return found


@program.orchestrator
def event_or_timer(context: Any) -> Story:
    cancel = context.get_input()
    timer = context.create_timer(later(context, 3_600))
    event = context.wait_for_external_event("go")
    winner = yield context.task_any([event, timer])
    if winner == event and cancel:
        timer.cancel()
    return "event" if winner == event else "timer"


@program.orchestrator
def abandoned_wait(context: Any) -> Story:
    event = context.wait_for_external_event("go")
    yield context.task_any([event, context.create_timer(later(context, 1))])
    yield context.create_timer(later(context, 60))
    return (yield context.wait_for_external_event("go"))


@program.orchestrator
def event_a_generation(context: Any) -> Story:
    seen = context.get_input() or []
    data = yield context.wait_for_external_event("item")
    seen = [*seen, data]
    if len(seen) == 3:
        return seen
    context.continue_as_new(seen)
    return None


def test_of_events_that_come_too_early_the_sdk_keeps_only_the_last(tmp_path: Path) -> None:
    async def play(hub: Hub) -> None:
        await hub.start("three_events")
        for number in (1, 2, 3):
            await hub.raise_event("go", str(number))
        await hub.run_out()
        assert hub.output() == [3, 3, 3]

    in_hub(tmp_path / "journal", program, play)


def test_an_instance_with_a_cancelled_timer_ends_at_once_and_ignores_its_message(tmp_path: Path) -> None:
    async def play(hub: Hub) -> None:
        await hub.start("event_or_timer", value=True)
        await hub.raise_event("go")
        assert (hub.status(), hub.output()) == ("Completed", "event")
        await hub.run_out()
        assert told(hub) == "Started Timer Event Ended"
        assert hub.engine.journal.messages() == []

    in_hub(tmp_path / "journal", program, play)


def test_an_instance_with_an_open_timer_ends_only_when_that_has_fired(tmp_path: Path) -> None:
    async def play(hub: Hub) -> None:
        await hub.start("event_or_timer", value=False)
        await hub.raise_event("go")
        await hub.pass_time(timedelta(seconds=3_599))
        assert hub.status() == "Running"
        await hub.run_out()
        assert (hub.status(), hub.output()) == ("Completed", "event")

    in_hub(tmp_path / "journal", program, play)


def test_an_event_for_an_abandoned_wait_does_not_reach_the_next_one(tmp_path: Path) -> None:
    async def play(hub: Hub) -> None:
        await hub.start("abandoned_wait")
        await hub.pass_time(timedelta(seconds=5))
        await hub.raise_event("go", "1")
        await hub.run_out()
        assert hub.status() == "Running"

    in_hub(tmp_path / "journal", program, play)


def test_each_generation_takes_the_event_that_is_raised_while_it_waits(tmp_path: Path) -> None:
    async def play(hub: Hub) -> None:
        await hub.start("event_a_generation")
        for number in (1, 2, 3):
            await hub.settle()
            await hub.raise_event("item", str(number))
        assert hub.output() == [1, 2, 3]
        assert told(hub) == "Started Event Ended"

    in_hub(tmp_path / "journal", program, play)


def test_an_event_whose_name_differs_in_case_is_lost_to_the_sdk(tmp_path: Path) -> None:
    async def play(hub: Hub) -> None:
        await hub.start("event_a_generation")
        await hub.raise_event("ITEM", "1")
        await hub.run_out()
        assert hub.status() == "Running"

    in_hub(tmp_path / "journal", program, play)


# -- control -----------------------------------------------------------------------------------------------------
@program.orchestrator
def waits(context: Any) -> Story:
    context.set_custom_status("waiting")
    return (yield context.wait_for_external_event("go"))


@program.orchestrator
def parent_of_waiting(context: Any) -> Story:
    return (yield context.call_sub_orchestrator("waits", None, "child"))


Play = Callable[[Hub], Awaitable[None]]


async def terminated(hub: Hub) -> None:
    await hub.client.terminate("one", "enough")
    await hub.settle()
    assert (hub.status(), hub.output(), hub.row().custom_status) == ("Terminated", "enough", '"waiting"')
    assert told(hub) == "Started Terminated Ended"


async def suspended(hub: Hub) -> None:
    await hub.client.suspend("one", "a pause")
    await hub.raise_event("go", "1")
    assert (hub.status(), hub.output()) == ("Suspended", "a pause")
    await hub.client.resume("one", "go on")
    await hub.settle()
    assert (hub.status(), hub.output()) == ("Completed", 1)


async def started_twice(hub: Hub) -> None:
    with pytest.raises(Exception, match="An Orchestration instance with the status Running already exists"):
        await hub.start("chain")
    await hub.raise_event("go", "1")
    await hub.start("chain")
    await hub.settle()
    assert (hub.row().name, hub.row().generation, hub.output()) == ("chain", 1, [1, [1]])


async def purged(hub: Hub) -> None:
    with pytest.raises(Exception, match="has status Running"):
        await hub.client.purge("one")
    await hub.raise_event("go", "1")
    assert await hub.client.purge("one")
    assert not await hub.client.purge("one")
    assert hub.engine.journal.instance("one") is None
    assert hub.engine.journal.history("one") == []


@pytest.mark.parametrize("play", [terminated, suspended, started_twice, purged], ids=lambda play: play.__name__)
def test_control_of_a_waiting_instance(play: Play, tmp_path: Path) -> None:
    async def begin(hub: Hub) -> None:
        await hub.start("waits")
        await hub.settle()
        await play(hub)

    in_hub(tmp_path / "journal", program, begin)


def test_a_terminated_child_fails_its_parent_and_a_terminated_parent_leaves_its_child(tmp_path: Path) -> None:
    async def play(hub: Hub) -> None:
        await hub.start("parent_of_waiting")
        await hub.settle()
        await hub.client.terminate("child", "the child ends")
        await hub.settle()
        expected = "Orchestrator function 'parent_of_waiting' failed: the child ends \n None"
        assert (hub.status(), hub.output()) == ("Failed", expected)

        await hub.start("parent_of_waiting")
        await hub.settle()
        await hub.client.terminate("one", "the parent ends")
        await hub.settle()
        assert (hub.status(), hub.status("child")) == ("Terminated", "Running")

    in_hub(tmp_path / "journal", program, play)


def test_a_child_with_the_id_of_a_running_instance_replaces_it(tmp_path: Path) -> None:
    async def play(hub: Hub) -> None:
        await hub.start("waits", value="from the client", instance_id="child")
        await hub.start("parent_of_waiting")
        await hub.settle()
        assert (hub.row("child").input_text, hub.row("child").generation) == ('"null"', None)
        await hub.raise_event("go", "7", instance_id="child")
        assert hub.output() == 7

    in_hub(tmp_path / "journal", program, play)


# -- traps -------------------------------------------------------------------------------------------------------
@program.orchestrator
def retries_in_any(context: Any) -> Story:
    retried = context.call_activity_with_retry("fails_first", TWICE, context.instance_id)
    timer = context.create_timer(later(context, 20))
    yield context.task_any([retried, timer])
    if not timer.is_completed:
        timer.cancel()
    yield context.call_activity("echo", "after")


@program.activity
def fails_first(key: str) -> str:
    if program.calls.count(("fails_first", key)) == 1:
        raise ValueError("the first call")
    return "worked"


@program.orchestrator
def cancels_a_week(context: Any) -> Story:
    timer = context.create_timer(later(context, 7 * 86_400))
    yield context.task_any([context.wait_for_external_event("go"), timer])
    timer.cancel()
    return (yield context.call_activity("echo", "after"))


@program.orchestrator
def keeps_its_old_status(context: Any) -> Story:
    if context.get_input() == 1:
        context.set_custom_status("of the first")
        context.continue_as_new(2)
        return None
    yield context.wait_for_external_event("go")
    yield context.wait_for_external_event("go on")
    return None


@program.orchestrator
def changes_its_mind(context: Any) -> Story:
    name = "echo" if sum(payload["instanceId"] == context.instance_id for payload in program.payloads) == 1 else "fail"
    yield context.call_activity(name, "a")


def test_a_retry_in_task_any_drifts_and_fails_as_non_deterministic(tmp_path: Path) -> None:
    async def play(hub: Hub) -> None:
        await hub.start("retries_in_any")
        await hub.run_out()
        assert hub.status() == "Failed"
        assert (
            "scheduled a timer task with sequence number 2 named but the current orchestration replay" in hub.output()
        )
        assert told(hub) == "Started Timer TaskFailed Timer Fired Task TaskScheduled Timer Ended"

    in_hub(tmp_path / "journal", program, play)


def test_a_cancelled_timer_of_a_week_lets_steps_go_on_but_not_the_end(tmp_path: Path) -> None:
    async def play(hub: Hub) -> None:
        await hub.start("cancels_a_week")
        await hub.settle()
        await hub.raise_event("go")
        assert (hub.status(), told(hub)) == ("Running", "Started Timer Event Task")
        await hub.run_out()
        assert (hub.status(), hub.output()) == ("Completed", "after")

    in_hub(tmp_path / "journal", program, play)


def test_a_custom_status_outlives_continue_as_new_until_the_next_episode(tmp_path: Path) -> None:
    async def play(hub: Hub) -> None:
        await hub.start("keeps_its_old_status", 1)
        await hub.settle()
        assert hub.row().custom_status == '"of the first"'
        await hub.raise_event("go")
        assert hub.row().custom_status is None

    in_hub(tmp_path / "journal", program, play)


def test_another_activity_on_replay_is_told_and_breaks_the_view_of_the_history(tmp_path: Path) -> None:
    async def play(hub: Hub) -> None:
        await hub.start("changes_its_mind", instance_id="changing")
        await hub.run_out()
        assert hub.status("changing") == "Failed"
        expected = "scheduled an activity task with sequence number 0 named 'echo', but the current"
        assert expected in hub.output("changing")
        with pytest.raises(DoubleKey, match="Key: TaskScheduled_0"):
            hub.events("changing")

    in_hub(tmp_path / "journal", program, play)
