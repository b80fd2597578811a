"""Time is injected: days of timers pass at once, and the same way each time."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tests.durable.hub import START, Hub, in_hub
from tests.durable.sleepers import program


def thirty_days(journal: Path) -> tuple[Any, list[Any]]:
    seen: list[Any] = []

    async def play(hub: Hub) -> None:
        await hub.start("wakes_daily")
        await hub.run_out()
        assert hub.status() == "Completed"
        seen.append(hub.output())
        seen.append([entry["Timestamp"] for entry in hub.engine.journal.history("one")])

    in_hub(journal, program, play)
    return seen[0], seen[1]


def test_a_month_of_daily_timers_passes_at_once_and_tells_each_day(tmp_path: Path) -> None:
    days, _ = thirty_days(tmp_path / "journal")
    assert [number for number, _ in days] == list(range(30))
    assert [datetime.fromisoformat(day) for _, day in days] == [START + timedelta(days=n + 1) for n in range(30)]


def test_two_runs_write_the_same_history(tmp_path: Path) -> None:
    assert thirty_days(tmp_path / "a") == thirty_days(tmp_path / "b")


def test_a_timer_longer_than_six_days_fires_when_it_should(tmp_path: Path) -> None:
    async def play(hub: Hub) -> None:
        await hub.start("waits_a_fortnight")
        await hub.pass_time(timedelta(days=13, hours=23))
        assert hub.status() == "Running"
        await hub.run_out()
        assert (hub.status(), hub.output()) == ("Completed", 14)

    in_hub(tmp_path / "journal", program, play)


def test_waiting_instances_cost_no_episode(tmp_path: Path) -> None:
    async def play(hub: Hub) -> None:
        for number in range(200):
            await hub.start("waits_for_ever", instance_id=f"waiting-{number}")
        await hub.settle()
        before, commits = hub.engine.episodes, hub.engine.journal.commits
        assert hub.clock.next_due() is None
        await hub.pass_time(timedelta(days=100))
        assert (hub.engine.episodes, hub.engine.journal.commits) == (before, commits)

    in_hub(tmp_path / "journal", program, play)


def test_timestamps_of_the_past_do_not_move_the_clock() -> None:
    from localcloud.durable.clock import VirtualClock

    clock = VirtualClock(START)
    clock.advance_to(datetime(2020, 1, 1, tzinfo=UTC))
    assert clock.now() == START
