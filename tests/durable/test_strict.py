"""Strict mode: each trap of the vendor's model ends in an error that names its rule, the function and the line."""

import asyncio
import json
import logging
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from localcloud.durable.history import event_raised
from localcloud.durable.options import DurableOptions
from localcloud.durable.texts import instant_text
from localcloud.durable.web import DurableAddresses, DurableHttpApi, WebRequest
from tests.durable.hub import Hub, in_hub
from tests.durable.programs import Program, Story

pytestmark = pytest.mark.filterwarnings("ignore:Potential duplicate Task completion")
STRICT = DurableOptions(strict=True)
program = Program()


@program.activity
def echo(value: Any) -> Any:
    return value


@program.activity
def fails(_value: Any) -> None:
    raise ValueError("no")


def minutes(context: Any, number: float = 1) -> Any:
    return context.current_utc_datetime + timedelta(minutes=number)


@program.orchestrator
def leaves_a_timer(context: Any) -> Story:
    timer = context.create_timer(minutes(context))  # the line to change
    yield context.task_any([timer, context.call_activity("echo", 1)])
    return "left"


@program.orchestrator
def leaves_a_call(context: Any) -> Story:
    slow = context.call_sub_orchestrator("only_sleeps", 1)  # the line to change
    yield context.task_any([slow, context.call_activity("echo", 1)])
    return "left"


@program.orchestrator
def raises_beside_a_timer(context: Any) -> Story:
    timer = context.create_timer(minutes(context))  # the line to change
    yield context.task_any([timer, context.call_activity("echo", 1)])
    raise ValueError("the app's own error")


@program.orchestrator
def sleeps_a_week(context: Any) -> Story:
    yield context.create_timer(context.current_utc_datetime + timedelta(days=7))  # the line to change


@program.orchestrator
def retries_in_any(context: Any) -> Story:
    from azure.durable_functions import RetryOptions

    call = context.call_activity_with_retry("fails", RetryOptions(1000, 2), 1)  # the line to change
    yield context.task_any([call, context.wait_for_external_event("go")])


@program.orchestrator
def retries_in_all(context: Any) -> Story:
    from azure.durable_functions import RetryOptions

    call = context.call_activity_with_retry("fails", RetryOptions(1000, 2), 1)  # the line to change
    yield context.task_all([call, context.call_activity("echo", 1)])


@program.orchestrator
def waits_again_beside_a_new_task(context: Any) -> Story:
    wait = context.wait_for_external_event("go")
    timer = context.create_timer(minutes(context))
    yield context.task_any([wait, timer])
    second = context.create_timer(minutes(context, 60))  # the line to change
    yield context.task_any([wait, second])
    yield context.call_activity("echo", 1)
    second.cancel()


@program.orchestrator
def continues_over_an_event(context: Any) -> Story:
    yield context.wait_for_external_event("go")
    context.continue_as_new("next")  # the line to change


@program.orchestrator
def waits_for_go(context: Any) -> Story:
    return (yield context.wait_for_external_event("Go"))  # the line to change


@program.orchestrator
def waits_twice_by_one_name(context: Any) -> Story:
    yield context.wait_for_external_event("go")
    yield context.wait_for_external_event("go")  # the line to change


@program.orchestrator
def waits_late(context: Any) -> Story:
    yield context.create_timer(minutes(context))
    return (yield context.wait_for_external_event("go"))


@program.orchestrator
def only_sleeps(context: Any) -> Story:
    yield context.create_timer(minutes(context))


@program.orchestrator
def sleeps_by_local_time(context: Any) -> Story:
    zone = timezone(timedelta(hours=5))
    yield context.create_timer(datetime(2026, 11, 22, tzinfo=zone))  # the line to change


@program.orchestrator
def sleeps_without_a_zone(context: Any) -> Story:
    yield context.create_timer(datetime(2026, 11, 22))  # the line to change


@program.orchestrator
def misspells_an_activity(context: Any) -> Story:
    yield context.call_activity("ecko", 1)  # the line to change


@program.orchestrator
def misspells_a_child(context: Any) -> Story:
    yield context.call_sub_orchestrator("onlysleep", 1)  # the line to change


@program.orchestrator
def tells_nothing(context: Any) -> Story:
    context.set_custom_status({})  # the line to change
    yield context.call_activity("echo", 1)


@program.orchestrator
def tells_too_much(context: Any) -> Story:
    context.set_custom_status("x" * 9000)  # the line to change
    yield context.call_activity("echo", 1)


@program.orchestrator
def walks_far(context: Any) -> Story:
    for number in range(101):
        yield context.call_activity("echo", number)  # the line to change


@program.orchestrator
def calls_over_http(context: Any) -> Story:
    yield context.call_http("GET", "http://127.0.0.1:1/")  # the line to change


@program.orchestrator
def takes_the_id_of_another(context: Any) -> Story:
    yield context.call_sub_orchestrator("only_sleeps", None, "other")  # the line to change


@program.orchestrator
def passes_a_secret(context: Any) -> Story:
    yield context.call_activity("echo", "https://x.blob.core.windows.net/c?sig=abc")  # the line to change


@program.orchestrator
def raises_a_secret(context: Any) -> Story:
    yield context.call_activity("echo", 1)
    raise ValueError("cannot open AccountKey=abc")  # the line to change


@program.orchestrator
def continues_beside_a_cancelled_timer(context: Any) -> Story:
    timer = context.create_timer(minutes(context))
    yield context.task_any([timer, context.call_activity("echo", 1)])
    timer.cancel()
    context.continue_as_new("next")  # the line to change


def line_of(story: Callable[..., Any]) -> str:
    """Where the marked line of an orchestrator is, as a trap tells it."""
    lines = Path(__file__).read_text(encoding="utf-8").splitlines()
    first = story.__code__.co_firstlineno
    number = next(n for n in range(first, len(lines)) if "# the line to change" in lines[n - 1])
    return f"test_strict.py:{number} in {story.__name__} ('{story.__name__}')"


async def told(hub: Hub, story: Callable[..., Any], *events: str, later: timedelta | None = None) -> str:
    """Run an orchestrator with these events raised at once, and return what it fails with."""
    await hub.start(story.__name__)
    for name in events:
        await hub.raise_event(name)
    if later is None:
        await hub.settle()
    else:
        await hub.pass_time(later)
    assert hub.status() == "Failed", hub.row()
    output = hub.output()
    assert isinstance(output, str)
    return output


CASES: list[tuple[str, Callable[..., Any], tuple[str, ...], float]] = [
    ("P2", waits_twice_by_one_name, ("go",), 0),
    ("P3", leaves_a_timer, (), 0),
    ("P3", leaves_a_call, (), 0),
    ("P3", raises_beside_a_timer, (), 0),
    ("P4", sleeps_a_week, (), 0),
    ("P6", retries_in_any, (), 0),
    ("P6", retries_in_all, (), 0),
    ("P10", waits_for_go, ("go",), 0),
    ("P11", sleeps_by_local_time, (), 0),
    ("P11", sleeps_without_a_zone, (), 0),
    ("P12", misspells_an_activity, (), 0),
    ("P12", misspells_a_child, (), 0),
    ("P13", tells_nothing, (), 0),
    ("P13", tells_too_much, (), 0),
    ("P14", walks_far, (), 0),
    ("P15", calls_over_http, (), 0),
    ("P18", passes_a_secret, (), 0),
    ("P23", continues_beside_a_cancelled_timer, (), 0),
]


@pytest.mark.parametrize(
    ("rule", "story", "events", "later_min"), CASES, ids=lambda value: getattr(value, "__name__", None)
)
def test_a_trap_fails_the_instance_and_names_the_line(
    rule: str,
    story: Callable[..., Any],
    events: tuple[str, ...],
    later_min: float,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def scene(hub: Hub) -> None:
        text = await told(hub, story, *events, later=timedelta(minutes=later_min) if later_min else None)
        assert text.startswith(f"Orchestrator function '{story.__name__}' failed: strict mode, rule {rule}: ")
        assert line_of(story) in text

    with caplog.at_level(logging.ERROR):
        in_hub(tmp_path / "journal", program, scene, options=STRICT)
    assert len([record for record in caplog.records if "durable.trap" in record.message]) == 1


@pytest.mark.parametrize(
    "story", [story for _, story, _, _ in CASES if story is not walks_far], ids=lambda s: s.__name__
)
def test_without_strict_mode_no_rule_is_ever_named(story: Callable[..., Any], tmp_path: Path) -> None:
    async def scene(hub: Hub) -> None:
        await hub.start(story.__name__)
        if story is not continues_beside_a_cancelled_timer and story is not calls_over_http:
            await hub.settle()
        assert "strict mode" not in str(hub.row().output)

    in_hub(tmp_path / "journal", program, scene)


def test_waiting_again_beside_a_new_task_is_told_when_the_old_one_wins(tmp_path: Path) -> None:
    async def scene(hub: Hub) -> None:
        await hub.start("waits_again_beside_a_new_task")
        await hub.pass_time(timedelta(minutes=1))
        assert hub.status() == "Running"
        await hub.raise_event("go")
        assert "rule P7" in hub.output()
        assert line_of(waits_again_beside_a_new_task) in hub.output()

    in_hub(tmp_path / "journal", program, scene, options=STRICT)


def test_continuing_over_an_event_that_came_is_told(tmp_path: Path) -> None:
    async def scene(hub: Hub) -> None:
        await hub.start("continues_over_an_event")
        await hub.settle()
        await asyncio.gather(hub.client.raise_event("one", "other", "1"), hub.client.raise_event("one", "go", "1"))
        await hub.settle()
        assert "rule P8" in hub.output()
        assert line_of(continues_over_an_event) in hub.output()

    in_hub(tmp_path / "journal", program, scene, options=STRICT)


def test_early_events_of_one_name_with_different_data_are_told(tmp_path: Path) -> None:
    async def scene(hub: Hub) -> None:
        await hub.start("waits_late")
        await hub.raise_event("go", "1")
        await hub.raise_event("go", "1")
        assert hub.status() == "Running"
        await hub.raise_event("go", "2")
        assert "rule P1: events named 'go'" in hub.output()

    in_hub(tmp_path / "journal", program, scene, options=STRICT)


def test_an_event_that_nobody_ever_waits_for_is_told_at_the_end(tmp_path: Path) -> None:
    async def scene(hub: Hub) -> None:
        await hub.start("only_sleeps")
        await hub.raise_event("stray")
        await hub.run_out()
        assert "rule P1: the event 'stray' came, and nobody ever waited for it" in hub.output()

    in_hub(tmp_path / "journal", program, scene, options=STRICT)


def test_a_child_under_the_id_of_a_running_instance_is_told_and_that_one_runs_on(tmp_path: Path) -> None:
    async def scene(hub: Hub) -> None:
        await hub.start("only_sleeps", instance_id="other")
        await hub.settle()
        text = await told(hub, takes_the_id_of_another)
        assert "rule P16" in text
        assert line_of(takes_the_id_of_another) in text
        assert hub.status("other") == "Running"

    in_hub(tmp_path / "journal", program, scene, options=STRICT)


def test_an_error_that_would_be_hidden_is_told(tmp_path: Path) -> None:
    async def scene(hub: Hub) -> None:
        text = await told(hub, raises_a_secret)
        assert "rule P18: " in text
        assert line_of(raises_a_secret) in text

    in_hub(tmp_path / "journal", program, scene, options=STRICT)


def test_a_step_that_changed_under_a_running_instance_is_told(tmp_path: Path) -> None:
    changing = Program()

    @changing.activity
    def one(value: Any) -> Any:
        return value

    @changing.activity
    def another(value: Any) -> Any:
        return value

    def story(context: Any) -> Story:
        yield context.call_activity("one", 1)
        yield context.wait_for_external_event("go")

    changing.orchestrator(story)

    async def scene(hub: Hub) -> None:
        await hub.start("story")
        await hub.settle()

        def changed(context: Any) -> Story:
            yield context.call_activity("another", 1)  # changed
            yield context.wait_for_external_event("go")

        changed.__name__ = "story"
        changing.orchestrator(changed)
        await hub.raise_event("go")
        line = next(
            n for n, text in enumerate(Path(__file__).read_text().splitlines(), 1) if text.endswith("# changed")
        )
        assert (
            "rule P20: step 1 of this instance was TaskScheduled one, and is now call_activity another" in hub.output()
        )
        assert f"test_strict.py:{line} in " in hub.output()

    in_hub(tmp_path / "journal", changing, scene, options=STRICT)


@pytest.mark.parametrize(
    ("name", "body", "rule"),
    [("only_sleep", b"", "P22"), ("only_sleeps", b'"https://x?code=abc"', "P18")],
    ids=["unknown", "secret"],
)
def test_a_start_that_walks_into_a_trap_is_refused(name: str, body: bytes, rule: str, tmp_path: Path) -> None:
    async def scene(hub: Hub) -> None:
        api = DurableHttpApi(hub.engine, DurableAddresses(public_origin="", rpc_origin=""))
        answer = await api.rpc(WebRequest(method="POST", raw_path=f"orchestrators/{name}/one", body=body))
        assert answer.status == 400
        assert f"strict mode, rule {rule}: " in json.loads(answer.body)["ExceptionMessage"]
        assert hub.engine.journal.instance("one") is None

    in_hub(tmp_path / "journal", program, scene, options=STRICT)


def test_the_safe_loop_walks_into_no_trap(tmp_path: Path) -> None:
    """The pattern of durable-measured.md 3: a fresh name a wait, one wait until it is done, cancelled timers."""
    safe = Program()
    safe.activity(echo)

    @safe.orchestrator
    def loop(context: Any) -> Story:
        number = 0
        wait = context.wait_for_external_event("wake-0")
        while number < 3:
            yield context.call_activity("echo", number)
            timer = context.create_timer(minutes(context))
            won = yield context.task_any([wait, timer])
            if won is wait:
                if not timer.is_completed:
                    timer.cancel()
                number += 1
                wait = context.wait_for_external_event(f"wake-{number}")
        return number

    async def scene(hub: Hub) -> None:
        await hub.start("loop")
        for number in range(3):
            await hub.pass_time(timedelta(minutes=2.5))
            raised = event_raised(instant_text(hub.clock.now()), f"wake-{number}", "null")
            assert raised["Name"]
            await hub.raise_event(f"wake-{number}")
            await hub.raise_event(f"wake-{number}")
        assert (hub.status(), hub.output()) == ("Completed", 3)

    in_hub(tmp_path / "journal", safe, scene, options=STRICT)
