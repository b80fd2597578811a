"""Policy replay over what a project has really lived through: the same settings give the same day again."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import msgspec

from shared.domain.demand import record_of
from shared.domain.governance import Governance
from shared.domain.names import ProjectId, history_key, history_partition
from shared.domain.replay import replay
from shared.domain.states import EndReason
from shared.ports.history import recorded
from shared.ports.tables import Insert
from tests.control_plane.plane import START, Plane


async def replayed(one: Plane, who: str = "carol", **body) -> tuple[int, dict]:
    status, answer, _ = await one.call(who, "ReplayPolicy", body)
    return status, answer


async def pass_time(one: Plane, seconds: float, *busy: tuple[str, str], idle: tuple[tuple[str, str], ...] = ()) -> None:
    """Let time pass while these people's clients renew their leases: those who work, and those who have gone away."""
    began = one.clock.now()
    while one.clock.now() < began + timedelta(seconds=seconds):
        await one.run_for(60)
        for user, shell in busy:
            await one.renew(user, shell)
        for user, shell in idle:
            await one.renew(user, shell, active_s_ago=(one.clock.now() - began).total_seconds())


async def a_day(one: Plane) -> None:
    """Two places for three people: one works and closes, one goes away, one waits, one is refused, one outlives."""
    await one.enable(cap=2, per_user=2, idle={"timeoutMinutes": 20}, maxLifetimeMinutes=60)
    await one.open("alice", "shell-alice")
    await one.run_for(5)
    await one.open("bob", "shell-bobby")
    await one.run_for(90)
    await one.open("carol", "shell-carol", wait=True)
    await one.run_for(5)
    await one.open("alice", "shell-second")
    await pass_time(one, 600, ("alice", "shell-alice"), ("bob", "shell-bobby"), ("carol", "shell-carol"))
    await one.call("alice", "CloseShell", shell="shell-alice")
    await pass_time(one, 1500, ("carol", "shell-carol"), idle=(("bob", "shell-bobby"),))
    await pass_time(one, 4200, ("carol", "shell-carol"))
    await one.run_for(120)
    one.check_nothing_left()


def test_a_day_that_was_played_is_the_same_when_it_is_replayed_under_the_same_settings(played_exactly):
    async def story(one: Plane):
        await a_day(one)
        now = one.clock.now()
        found = recorded(one.world.sessions, ProjectId("demo"), START - timedelta(days=1), now)
        settings = one.world.sessions.settings(ProjectId("demo")).row.settings
        fates = replay(record_of(found.sessions, found.since, now, "USD"), settings)

        rows = sorted(found.sessions, key=lambda row: row.created_at)
        assert [row.end_reason for row in rows] == [
            EndReason.SHELLS_CLOSED,
            EndReason.IDLE,
            EndReason.MAX_LIFETIME,
            EndReason.REFUSED,
        ]
        assert [(fate.end, fate.refused, fate.doubt) for fate in fates] == [
            (row.end_reason, row.error_code, None) for row in rows
        ]
        for row, fate in zip(rows, fates, strict=True):
            assert (row.held_from is None) == (fate.held_from is None)
            if row.held_from is not None:
                assert abs((row.held_from - fate.held_from).total_seconds()) < 1
                assert abs((row.ended_at - fate.held_until).total_seconds()) < 1
                assert abs(row.metered_s - fate.seconds) <= 1

    played_exactly(story)


def test_the_report_sets_what_was_beside_the_present_and_the_proposed_settings(played_exactly):
    async def story(one: Plane):
        await a_day(one)
        before = one.tables.commits
        status, report = await replayed(
            one, days=1, settings={"serverlessGpuSessionsSettings": {"maxConcurrentSessionsPerProject": 4}}
        )
        assert (status, one.tables.commits) == (200, before)
        really, present, proposed = report["really"], report["present"], report["proposed"]

        for same in ("sessions", "admittedAtOnce", "waited", "refused", "stoppedIdle", "stoppedLifetime", "mostAtOnce"):
            assert really[same] == present[same], same
        assert Decimal(really["cost"]["amount"]) == Decimal(present["cost"]["amount"])
        assert (present["admittedAtOnce"], present["waited"], present["refused"]) == (
            2,
            1,
            {"ProjectGpuCapReached": 1},
        )
        assert (proposed["admittedAtOnce"], proposed["waited"], proposed["refused"]) == (4, 0, {})
        assert (proposed["waits"], proposed["doubts"]) == (None, {"assumed": 1})
        saved = Decimal(present["cost"]["amount"]) - Decimal(proposed["cost"]["amount"])
        assert Decimal(report["difference"]["saved"]["amount"]) == saved < 0
        assert report["difference"]["usersWaitingLonger"] == 0
        assert report["settings"]["serverlessGpuSessionsSettings"]["maxConcurrentSessionsPerProject"] == 4

    played_exactly(story)


def test_a_shorter_idle_limit_is_judged_by_the_quiet_that_was_recorded(played_exactly):
    async def story(one: Plane):
        await a_day(one)
        status, report = await replayed(one, days=1, settings={"idle": {"timeoutMinutes": 15, "warnMinutes": [5]}})
        assert status == 200
        assert report["proposed"]["stoppedIdle"] == report["present"]["stoppedIdle"] == 1
        assert 280 <= report["difference"]["gpuSecondsSaved"] <= 320
        assert report["proposed"]["doubts"] == {}

    played_exactly(story)


def test_fewer_places_are_told_by_who_would_have_waited(played_exactly):
    async def story(one: Plane):
        await a_day(one)
        cap = {"serverlessGpuSessionsSettings": {"maxConcurrentSessionsPerProject": 1}}
        _, report = await replayed(one, days=1, settings=cap)
        assert report["proposed"]["mostAtOnce"] == 1
        assert report["difference"]["usersTurnedAway"] + report["difference"]["usersWaitingLonger"] >= 1

    played_exactly(story)


def test_without_anything_proposed_nothing_differs_and_an_empty_project_has_nothing_to_tell(played_exactly):
    async def story(one: Plane):
        status, report = await replayed(one)
        assert status == 200
        assert (report["present"]["sessions"], report["present"]["waits"]) == (0, None)
        assert report["difference"]["saved"] == {"amount": "0", "currency": "USD"}
        assert report["truncated"] is False

    played_exactly(story)


def test_all_that_is_wrong_with_a_replay_is_named_at_once(played_exactly):
    async def story(one: Plane):
        wrong = {"idle": {"timeoutMinutes": 0}, "line": {"fairness": "loudest"}}
        status, answer = await replayed(one, days=91, settings=wrong, surprise=1)
        assert (status, answer["error"]["code"]) == (400, "InvalidParameter")
        assert {detail["target"] for detail in answer["error"]["details"]} == {
            "surprise",
            "days",
            "idle.timeoutMinutes",
            "line.fairness",
        }
        assert (await replayed(one, days=True))[0] == 400
        assert (await replayed(one, settings=[]))[0] == 400
        assert (await replayed(one, settings=None))[0] == 400

    played_exactly(story)


def test_only_administrators_replay(played_exactly):
    async def story(one: Plane):
        assert [(await replayed(one, who))[0] for who in ("carol", "olga", "alice", "erin")] == [200, 200, 403, 404]

    played_exactly(story)


def test_a_locked_setting_cannot_be_tried_beyond_its_lock(played_exactly):
    async def story(one: Plane):
        one.governance.told["demo"] = Governance(max_concurrent=2, cap_locked=True)
        cap = {"serverlessGpuSessionsSettings": {"maxConcurrentSessionsPerProject": 3}}
        status, answer = await replayed(one, settings=cap)
        assert (status, answer["error"]["code"]) == (409, "SettingLockedByPolicy")

    played_exactly(story)


def test_where_there_was_more_than_is_read_it_begins_later_and_says_so(played_exactly, monkeypatch):
    async def story(one: Plane):
        template = await one.opened()
        await one.call("alice", "CloseShell", shell="shell-one")
        await one.run_for(30)
        row = one.session(template["session"])
        project, now = ProjectId("demo"), one.clock.now()
        for hours in range(1, 40):
            ended_at = START - timedelta(hours=hours)
            older = msgspec.structs.replace(
                row, session=f"{hours:026d}", created_at=ended_at - timedelta(minutes=5), ended_at=ended_at
            )
            key = history_key(ended_at, older.session)
            one.tables.commit("history", history_partition(project, ended_at), [Insert(key, older)])

        whole = recorded(one.world.sessions, project, START - timedelta(days=3), now)
        assert (len(whole.sessions), whole.truncated) == (40, False)
        day = recorded(one.world.sessions, project, START - timedelta(hours=10), now)
        assert len(day.sessions) == 11
        cut = recorded(one.world.sessions, project, START - timedelta(days=3), now, most=20)
        assert (len(cut.sessions), cut.truncated) == (20, True)
        assert cut.since == min(session.ended_at for session in cut.sessions)

        seconds = itertools.count(step=3)
        monkeypatch.setattr("shared.ports.history.elapsed_s", lambda: float(next(seconds)))
        slow = recorded(one.world.sessions, project, START - timedelta(days=3), now)
        assert (slow.since, slow.truncated) == (datetime(2026, 11, 20, tzinfo=UTC), True)
        assert all(session.ended_at >= slow.since for session in slow.sessions)

    played_exactly(story)
