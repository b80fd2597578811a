"""What keeps a running session, told by the API alone: busy GPUs, forgotten terminals, laptops that sleep."""

from __future__ import annotations

import pytest

from shared.domain.states import EndReason, SessionState
from tests.control_plane.plane import Plane

MINUTE_S = 60.0
POLICY = {"timeoutMinutes": 30, "graceMinutes": 120}


async def opened(one: Plane) -> str:
    await one.enable(idle=POLICY)
    one.keeps_house_every_s = 60.0
    return (await one.opened())["session"]


async def explained(one: Plane, session: str) -> dict:
    status, view, _ = await one.call("alice", "ExplainSession", session=session)
    assert status == 200
    return view


def minutes_of_life(one: Plane, session: str) -> float:
    row = one.session(session)
    assert row.stopping_at is not None
    return (row.stopping_at - row.running_at).total_seconds() / 60


def test_a_laptop_that_sleeps_while_a_training_runs_finds_it_when_it_wakes(played_exactly):
    async def story(one: Plane):
        session = await opened(one)
        await one.hold_for(10 * MINUTE_S, active=False, gpuUtilizationPercent=87, busyProcesses=1)
        await one.run_for(115 * MINUTE_S)  # the lid is closed
        told = await explained(one, session)
        assert "the GPU was busy (87 %) 6900 s ago. No client is heard; since it was busy" in told["summary"]
        assert (told["lastActivitySignal"], told["lastActivityFigure"]) == ("Gpu", 87.0)
        assert told["waitsForClientUntil"] == told["stopsAt"] == told["deadlines"][0]["at"]
        assert await one.renew(active_s_ago=7000, gpuUtilizationPercent=0, busyProcesses=0) == 200

        await one.hold_for(29 * MINUTE_S, active=False, gpuUtilizationPercent=0, busyProcesses=0)
        told = await explained(one, session)
        assert (told["state"], told["lastActivitySignal"]) == ("Running", "Client")
        assert "waitsForClientUntil" not in told
        await one.run_for(2 * MINUTE_S)
        assert one.session(session).end_reason is EndReason.IDLE
        one.check_invariants()

    played_exactly(story)


def test_a_sleeping_laptop_is_waited_for_as_long_as_the_policy_says_and_no_longer(played_exactly):
    async def story(one: Plane):
        session = await opened(one)
        assert await one.renew(busyProcesses=3) == 200
        await one.run_for(122 * MINUTE_S)
        assert one.session(session).state is SessionState.RUNNING
        await one.run_for(2 * MINUTE_S)
        assert one.session(session).end_reason is EndReason.LEASE_LAPSED
        one.check_invariants()

    played_exactly(story)


def test_a_silent_client_whose_session_was_quiet_is_not_waited_for(played_exactly):
    async def story(one: Plane):
        session = await opened(one)
        assert await one.renew(gpuUtilizationPercent=87) == 200
        assert await one.renew(gpuUtilizationPercent=9, busyProcesses=0) == 200
        await one.run_for(32 * MINUTE_S)
        assert one.session(session).end_reason is EndReason.IDLE
        assert minutes_of_life(one, session) == pytest.approx(30, abs=1)

    played_exactly(story)


def test_an_open_but_forgotten_terminal_idles_although_its_connection_comes_and_goes(played_exactly):
    async def story(one: Plane):
        session = await opened(one)
        for minute in range(40):
            if await one.renew(active_s_ago=minute * 60, gpuUtilizationPercent=2, busyProcesses=0) != 200:
                break
            await one.call("alice", "ConnectShell", {"activeSecondsAgo": minute * 60}, shell="shell-one")
            await one.run_for(MINUTE_S)
        assert one.session(session).end_reason is EndReason.IDLE
        assert minutes_of_life(one, session) == pytest.approx(30, abs=1)

    played_exactly(story)


def test_a_training_that_nobody_looks_at_lives_and_ends_its_idle_time_after_it(played_exactly):
    async def story(one: Plane):
        session = await opened(one)
        await one.hold_for(180 * MINUTE_S, active=False, gpuUtilizationPercent=10, busyProcesses=0)
        assert one.session(session).state is SessionState.RUNNING
        await one.hold_for(33 * MINUTE_S, active=False, gpuUtilizationPercent=3, busyProcesses=0)
        assert one.session(session).end_reason is EndReason.IDLE
        assert minutes_of_life(one, session) == pytest.approx(210, abs=2)
        warned = [row for row in one.audit() if row.event_type == "DevBoxGpu.Session.IdleWarning"]
        assert len(warned) == 1

    played_exactly(story)


def test_a_stricter_percent_takes_hold_of_sessions_that_run(played_exactly):
    async def story(one: Plane):
        await opened(one)
        await one.enable(idle={**POLICY, "gpuBusyPercent": 50})
        await one.hold_for(2 * MINUTE_S)
        await one.renew(active_s_ago=600, gpuUtilizationPercent=49)
        assert one.shell_row().active_signal == "Terminal"
        await one.renew(active_s_ago=600, gpuUtilizationPercent=50)
        assert (one.shell_row().active_signal, one.shell_row().active_figure) == ("Gpu", 50.0)

    played_exactly(story)


def test_a_person_who_connects_is_activity_and_is_told_how_long_the_agent_waits(played_exactly):
    async def story(one: Plane):
        session = await opened(one)
        await one.run_for(MINUTE_S)
        status, way_in, _ = await one.call("alice", "ConnectShell", shell="shell-one")
        assert (status, way_in["silenceSeconds"]) == (200, 150 + 120 * 60 + 15 * 60)
        assert "a client connected 0 s ago" in (await explained(one, session))["summary"]

    played_exactly(story)


@pytest.mark.parametrize(
    ("said", "named"),
    [
        ({"gpuUtilizationPercent": 101}, "gpuUtilizationPercent"),
        ({"gpuUtilizationPercent": -1}, "gpuUtilizationPercent"),
        ({"gpuUtilizationPercent": "87"}, "gpuUtilizationPercent"),
        ({"busyProcesses": -1}, "busyProcesses"),
        ({"busyProcesses": 1.5}, "busyProcesses"),
        ({"busy": 1}, "busy"),
    ],
)
def test_a_figure_that_cannot_be_is_refused_by_name_and_changes_nothing(played_exactly, said, named):
    async def story(one: Plane):
        await opened(one)
        before = one.shell_row()
        status, answer, _ = await one.call("alice", "RenewLease", {"activeSecondsAgo": 0, **said}, shell="shell-one")
        assert status == 400
        assert named in answer["error"].get("target", answer["error"]["message"])
        assert one.shell_row() == before

    played_exactly(story)
