import asyncio
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest
from served_app import write_app

from localcloud.functions_host.app_host import check_triggers
from localcloud.functions_host.loading import load_app
from localcloud.functions_host.timer_status import TimerStatus, TimerStatusStore
from localcloud.functions_host.timers import TimerTriggers
from localcloud.functions_host.worker import Worker

START = datetime(2026, 11, 21, 12, 0, 30, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
RECORDING = """
import threading
ran, gate, overlaps = [], threading.Event(), []
gate.set()

def record(timer):
    ran.append((timer.past_due, timer.schedule_status))
    overlaps.append(not gate.wait(10))

@app.timer_trigger(arg_name="timer", schedule="{schedule}"{more})
def tick(timer: func.TimerRequest) -> None:
    record(timer)
    {then}
"""


class SteppedClock:
    """Time that passes only when a test says so."""

    def __init__(self, now):
        self._now = now
        self._sleepers: list[tuple[datetime, asyncio.Future]] = []

    def now(self):
        return self._now

    async def sleep_until(self, when):
        if when > self._now:
            woken = asyncio.get_running_loop().create_future()
            self._sleepers.append((when, woken))
            await woken

    @property
    def sleeping_until(self):
        return sorted(when for when, woken in self._sleepers if not woken.done())

    def set(self, now):
        self._now = now
        for when, woken in self._sleepers:
            if when <= now and not woken.done():
                woken.set_result(None)


async def until(predicate):
    async with asyncio.timeout(10):
        while not predicate():
            await asyncio.sleep(0.005)


class World:
    """A timer app's folder and state, started and stopped like a host, on a clock of its own."""

    def __init__(self, tmp_path, schedule, *, more="", then="pass"):
        self.root, self.clock = tmp_path / "app", SteppedClock(START)
        self.store = TimerStatusStore(tmp_path / "timers")
        self.module = None
        self.declare(schedule, more=more, then=then)

    def declare(self, schedule, *, more="", then="pass"):
        write_app(self.root, RECORDING.format(schedule=schedule, more=more, then=then))

    @asynccontextmanager
    async def started(self):
        import sys

        functions = load_app(self.root, {}).functions
        self.module = sys.modules["function_app"]
        app = check_triggers(functions, prefix="api", environ={})
        worker = Worker(root=self.root, threads=4)
        self.triggers = TimerTriggers(
            timers=app.timers, worker=worker, store=self.store, clock=self.clock, client_binding=""
        )
        self.functions = app.functions
        self.triggers.start()
        try:
            yield self
        finally:
            self.module.gate.set()
            await self.triggers.stop(10)
            worker.close()

    @property
    def ran(self):
        return self.module.ran

    async def pass_to(self, moment):
        """Let the clock come to a moment, once the timer sleeps."""
        await until(lambda: self.clock.sleeping_until)
        self.clock.set(moment)

    async def idle(self, runs):
        await until(lambda: len(self.ran) == runs and self.clock.sleeping_until)


def play(scenario):
    asyncio.run(scenario)


def test_a_timer_runs_when_it_is_due_and_not_before(tmp_path):
    async def scenario():
        async with World(tmp_path, "0 * * * * *").started() as world:
            await world.pass_to(START + timedelta(seconds=29))
            assert world.ran == []
            await world.pass_to(START + timedelta(seconds=30))
            await world.idle(runs=1)

            assert world.clock.sleeping_until == [START + timedelta(seconds=90)]
            past_due, status = world.ran[0]
            assert past_due is False
            assert (status["Last"], status["Next"]) == ("0001-01-01T00:00:00+00:00", "2026-11-21T12:01:00+00:00")

    play(scenario())


def test_times_missed_while_the_host_was_down_are_made_up_for_by_one_run(tmp_path):
    async def scenario():
        world = World(tmp_path, "0 * * * * *")
        async with world.started():
            await world.pass_to(START + MINUTE)
            await world.idle(runs=1)
        world.clock.set(START + 4 * MINUTE)
        async with world.started():
            await world.idle(runs=1)
            assert world.ran[0][0] is True
            assert world.clock.sleeping_until[-1] == START + 4 * MINUTE + timedelta(seconds=30)

    play(scenario())


def test_a_time_missed_before_the_very_first_run_is_made_up_for_too(tmp_path):
    async def scenario():
        world = World(tmp_path, "0 * * * * *")
        async with world.started():
            await until(lambda: world.clock.sleeping_until)
        world.clock.set(START + 2 * MINUTE)
        async with world.started():
            await world.idle(runs=1)
            assert world.ran[0][0] is True

    play(scenario())


def test_a_restart_without_a_missed_time_runs_nothing(tmp_path):
    async def scenario():
        world = World(tmp_path, "0 * * * * *")
        async with world.started():
            await until(lambda: world.clock.sleeping_until)
        async with world.started():
            await until(lambda: world.clock.sleeping_until)
            assert world.ran == []

    play(scenario())


def test_a_timer_under_a_minute_or_without_a_monitor_keeps_no_status_and_makes_nothing_up(tmp_path):
    async def scenario(name, schedule, more):
        world = World(tmp_path / name, schedule, more=more)
        async with world.started():
            await world.pass_to(START + MINUTE)
            await world.idle(runs=1)
            assert world.ran[0] == (False, {})
        world.clock.set(START + 10 * MINUTE)
        async with world.started():
            await until(lambda: world.clock.sleeping_until)
            assert world.ran == []
        assert world.store.read("tick") is None

    play(scenario("often", "*/20 * * * * *", ""))
    play(scenario("unmonitored", "0 * * * * *", ", use_monitor=False"))


def test_run_on_startup_runs_once_at_each_start(tmp_path):
    async def scenario():
        world = World(tmp_path, "0 0 0 1 1 *", more=", run_on_startup=True")
        for _ in range(2):
            async with world.started():
                await world.idle(runs=1)
                assert world.ran[0][0] is False

    play(scenario())


def test_another_schedule_begins_anew_instead_of_counting_as_missed(tmp_path):
    async def scenario():
        world = World(tmp_path, "0 * * * * *")
        async with world.started():
            await until(lambda: world.clock.sleeping_until)
        world.declare("0 0 0 1 1 *")
        world.clock.set(START + 10 * MINUTE)
        async with world.started():
            await until(lambda: world.clock.sleeping_until)
            assert world.ran == []
            assert world.store.read("tick").next_at == datetime(2027, 1, 1, tzinfo=UTC)

    play(scenario())


def test_runs_never_overlap_and_times_that_pass_meanwhile_are_left_out(tmp_path):
    async def scenario():
        async with World(tmp_path, "0 * * * * *").started() as world:
            world.module.gate.clear()
            await world.pass_to(START + MINUTE)
            await until(lambda: len(world.ran) == 1)
            world.clock.set(START + 5 * MINUTE)
            manual = asyncio.create_task(world.triggers.run_now(world.functions.named("tick")))
            await asyncio.sleep(0.05)
            assert len(world.ran) == 1, "a second run began beside the first"
            world.module.gate.set()
            await manual
            await world.idle(runs=2)
            assert world.clock.sleeping_until == [START + 5 * MINUTE + timedelta(seconds=30)]
            assert world.module.overlaps == [False, False]

    play(scenario())


def test_a_run_that_raises_does_not_stop_the_schedule(tmp_path, caplog):
    async def scenario():
        async with World(tmp_path, "0 * * * * *", then="raise ValueError('no')").started() as world:
            for number in (1, 2):
                await world.pass_to(START + number * MINUTE)
                await world.idle(runs=number)

    play(scenario())
    assert caplog.text.count("timer run failed: ValueError: no at function_app.py") == 2


def test_stopping_waits_for_a_run_and_notes_it(tmp_path):
    async def scenario():
        world = World(tmp_path, "0 * * * * *")
        async with world.started():
            world.module.gate.clear()
            await world.pass_to(START + MINUTE)
            await until(lambda: len(world.ran) == 1)
        assert world.store.read("tick").last_at == START + timedelta(seconds=30)

    play(scenario())


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"Last": null}', '{"Last": null, "Next": null, "LastUpdated": "2026-11-21"}']
)
def test_a_status_file_that_cannot_be_read_counts_as_none_and_is_told_of(tmp_path, caplog, text):
    store = TimerStatusStore(tmp_path)
    store.write("tick", TimerStatus(last_at=None, next_at=START, updated_at=START))
    assert store.read("tick").next_at == START
    next(tmp_path.iterdir()).write_text(text)

    assert store.read("tick") is None
    assert "the timer tick begins anew" in caplog.text
