"""What people ask of sessions and projects: extend, explain, list, foresee; and a project that is disabled in use."""

from __future__ import annotations

from datetime import datetime, timedelta

from shared.domain.states import EndReason, SessionState
from tests.control_plane.plane import Plane


async def explained(one: Plane, session: str, who: str = "alice") -> dict:
    status, answer, _ = await one.call(who, "ExplainSession", session=session)
    assert status == 200, answer
    return answer


def test_an_extended_session_outlives_idleness_and_lifetime_within_the_limit(played_exactly):
    async def story(one: Plane):
        await one.enable(maxLifetimeMinutes=60, extendLimitMinutes=30, idle={"timeoutMinutes": 10})
        view = await one.opened()
        session = view["session"]
        status, longer, _ = await one.call("alice", "ExtendSession", {"minutes": 45}, session=session)
        assert (status, longer["stopReason"]) == (200, "Idle")
        assert datetime.fromisoformat(longer["stopsAt"]) == one.clock.now() + timedelta(minutes=45)
        await one.hold_for(40 * 60, active=False)
        assert one.session(session).state is SessionState.RUNNING

        status, longest, _ = await one.call("alice", "ExtendSession", {"minutes": 45}, session=session)
        assert (status, longest["stopReason"]) == (200, "MaxLifetime")
        status, refused, _ = await one.call("alice", "ExtendSession", {"minutes": 120}, session=session)
        assert (status, refused["error"]["code"]) == (409, "ExtendLimitReached")
        _, told, _ = await one.call("alice", "RenewLease", {"activeSecondsAgo": 0}, shell="shell-one")
        assert told["stopsAt"] == longest["stopsAt"]
        await one.hold_for(50 * 60)
        row = one.session(session)
        assert (row.state, row.end_reason) == (SessionState.ENDED, EndReason.MAX_LIFETIME)
        assert row.running_at is not None
        assert 80 <= (row.stopping_at - row.running_at).total_seconds() / 60 <= 90

    played_exactly(story)


def test_only_its_owner_and_administrators_extend_and_explain(played_exactly):
    async def story(one: Plane):
        view = await one.opened()
        for who, expected in (("carol", 200), ("olga", 200), ("bob", 404), ("erin", 404)):
            assert (await one.call(who, "ExtendSession", {"minutes": 5}, session=view["session"]))[0] == expected
            assert (await one.call(who, "ExplainSession", session=view["session"]))[0] == expected
        assert (await one.call("alice", "ExtendSession", {}, session=view["session"]))[0] == 400
        assert (await one.call("alice", "ExtendSession", {"minutes": 0}, session=view["session"]))[0] == 400

    played_exactly(story)


def test_a_session_that_is_ending_or_not_up_yet_is_not_extended(played_exactly):
    async def story(one: Plane):
        view = await one.open()
        status, answer, _ = await one.call("alice", "ExtendSession", {"minutes": 5}, session=view["session"])
        assert (status, answer["error"]["code"]) == (409, "ShellNotReady")
        await one.run_for(30)
        await one.call("alice", "CloseShell", shell="shell-one")
        status, answer, _ = await one.call("alice", "ExtendSession", {"minutes": 5}, session=view["session"])
        assert (status, answer["error"]["code"]) == (409, "ShellEnded")

    played_exactly(story)


def test_every_state_is_explained_with_what_would_change_it(played_exactly):
    async def story(one: Plane):
        await one.enable(cap=1, per_user=1)
        first = await one.open("alice", "shell-one")
        coming = await explained(one, first["session"])
        assert "phase Creating at westus3/T4" in coming["summary"]
        second = await one.open("bob", "shell-two", wait=True)
        await one.run_for(30)

        waits = await explained(one, second["session"], "bob")
        assert (waits["state"], waits["queuePosition"], waits["queueLength"]) == ("Waiting", 1, 1)
        assert waits["reasons"][0]["code"] == "ProjectGpuCapReached"
        assert f"devboxgpu sessions stop {second['session']}" in [change.get("action") for change in waits["changes"]]
        assert "expectedWaitSeconds" not in waits

        lives = await explained(one, first["session"])
        assert lives["state"] == "Running"
        assert {end["reason"] for end in lives["deadlines"]} == {"MaxLifetime", "Idle", "LeaseLapsed"}
        assert lives["deadlines"] == sorted(lives["deadlines"], key=lambda end: end["at"])
        assert f"devboxgpu sessions extend {first['session']}" in str(lives["changes"])

        await one.call("carol", "StopSession", {"reason": "needed elsewhere"}, session=first["session"])
        await one.run_for(30)
        ended = await explained(one, first["session"])
        assert "StoppedByAdministrator" in ended["summary"]
        assert "needed elsewhere" in ended["summary"]

    played_exactly(story)


def test_a_preview_decides_as_opening_would_and_writes_nothing(played_exactly):
    async def story(one: Plane):
        await one.enable(cap=1)
        ask = {"dryRun": "true"}

        async def foreseen(who: str, **body) -> dict:
            before = one.tables.commits
            status, answer, _ = await one.call(who, "OpenShell", body, query=ask, shell="shell-foreseen")
            assert status == 200, answer
            assert one.tables.commits == before
            return answer

        await one.open("bob", "shell-warm")
        await one.call("bob", "CloseShell", shell="shell-warm")
        await one.run_for(60)
        admitted = await foreseen("alice")
        assert (admitted["decision"], admitted["region"]) == ("admit", "westus3")
        assert admitted["price"] == {"amountPerHour": "1.5588", "currency": "USD"}
        await one.opened("alice")
        refused = await foreseen("bob")
        assert (refused["decision"], refused["code"]) == ("refuse", "ProjectGpuCapReached")
        waits = await foreseen("bob", wait=True)
        assert (waits["decision"], waits["queuePosition"]) == ("wait", 1)
        status, answer, _ = await one.call("dave", "OpenShell", {}, query=ask, shell="shell-foreseen")
        assert (status, answer["error"]["code"]) == (403, "NotEntitled")
        status, answer, _ = await one.call("alice", "OpenShell", {}, query={"dryRun": "perhaps"}, shell="shell-other")
        assert (status, answer["error"]["target"]) == (400, "dryRun")

    played_exactly(story)


def test_a_project_that_is_disabled_lets_its_sessions_go_on_and_ends_those_that_wait(played_exactly):
    async def story(one: Plane):
        await one.enable(cap=1)
        first = await one.opened()
        waiting = await one.open("bob", "shell-two", wait=True)
        await disable(one)
        await one.run_for(20)
        assert one.session(first["session"]).state is SessionState.RUNNING
        assert one.session(waiting["session"]).end_reason is EndReason.PROJECT_DISABLED
        status, answer, _ = await one.call("bob", "OpenShell", {}, shell="shell-three")
        assert (status, answer["error"]["code"]) == (403, "GpuDisabled")
        await one.hold_for(20 * 60)
        assert one.session(first["session"]).state is SessionState.RUNNING

    played_exactly(story)


def test_a_project_that_is_disabled_with_an_end_warns_and_then_stops_its_sessions(played_exactly):
    async def story(one: Plane):
        first = await one.opened()
        await disable(one, runningSessions="stop")
        await one.run_for(10)
        _, told, _ = await one.call("alice", "RenewLease", {}, shell="shell-one")
        (warning,) = told["warnings"]
        assert (warning["kind"], told["stopReason"]) == ("ProjectDisabled", "ProjectDisabled")
        assert warning["at"] == told["stopsAt"]
        status, answer, _ = await one.call("alice", "ExtendSession", {"minutes": 60}, session=first["session"])
        assert (status, answer["error"]["code"]) == (409, "GpuDisabled")
        await one.hold_for(4 * 60)
        assert one.session(first["session"]).state is SessionState.RUNNING
        await one.hold_for(2 * 60)
        row = one.session(first["session"])
        assert (row.state, row.end_reason) == (SessionState.ENDED, EndReason.PROJECT_DISABLED)
        one.check_nothing_left()

    played_exactly(story)


def test_a_project_that_is_enabled_again_calls_the_stop_off(played_exactly):
    async def story(one: Plane):
        first = await one.opened()
        await disable(one, runningSessions="stop")
        await one.run_for(60)
        await one.enable()
        await one.run_for(10)
        _, told, _ = await one.call("alice", "RenewLease", {}, shell="shell-one")
        assert told.get("warnings", []) == []
        await one.hold_for(10 * 60)
        assert one.session(first["session"]).state is SessionState.RUNNING

    played_exactly(story)


async def disable(one: Plane, **query: str) -> None:
    body = {"serverlessGpuSessionsSettings": {"serverlessGpuSessionsMode": "Disabled"}}
    status, answer, _ = await one.call("carol", "UpdateSettings", body, headers={"if-match": "*"}, query=query)
    assert status == 200, answer


def test_projects_are_listed_to_those_who_belong_to_them_with_use_against_caps(played_exactly):
    async def story(one: Plane):
        await one.enable(cap=1, budget={"monthlyAmount": "100"})
        await one.opened()
        await one.open("bob", "shell-two", wait=True)
        _, mine, _ = await one.call("alice", "ListProjects")
        (demo,) = mine["value"]
        assert (demo["id"], demo["role"], demo["enabled"]) == ("demo", "member", True)
        assert (demo["sessions"], demo["maxConcurrentSessions"], demo["yourSessions"], demo["waiting"]) == (1, 1, 1, 1)
        assert demo["gpuTypes"] == [{"type": "T4", "maxConcurrent": 1, "sessions": 1}]
        assert demo["budget"] == {"monthlyAmount": "100", "spent": "0.00", "currency": "USD"}
        assert [one["id"] for one in (await one.call("erin", "ListProjects"))[1]["value"]] == ["other"]
        assert (await one.call("dave", "ListProjects"))[1]["value"] == []
        roles = {one["id"]: one["role"] for one in (await one.call("olga", "ListProjects"))[1]["value"]}
        assert roles == {"demo": "operator", "other": "operator"}
        assert (await one.call("carol", "GetProject"))[1]["role"] == "administrator"
        assert (await one.call("erin", "GetProject"))[0] == 404

    played_exactly(story)
