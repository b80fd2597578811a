"""Shells that share a session: which they join, how long it lives, and what the guest is told."""

from __future__ import annotations

import asyncio

import pytest

from shared.domain.states import EndReason, SessionState
from tests.control_plane.plane import Plane, plane


@pytest.fixture
def shared(tmp_path):
    def run(story, sharing: str, **settings) -> None:
        async def play() -> None:
            async with plane(tmp_path) as one:
                await one.enable(shellSharing=sharing, **settings)
                await story(one)
                one.check_invariants()

        asyncio.run(play())

    return run


async def opened(one: Plane, shell: str, user: str = "alice", **body) -> dict:
    view = await one.open(user, shell, **body)
    await one.run_for(30)
    return (await one.call(user, "GetShell", shell=shell))[1] | {"session": view["session"]}


def test_dedicated_shells_have_a_session_each_and_name_none(shared):
    async def story(one: Plane):
        first, second = await opened(one, "shell-one"), await opened(one, "shell-two")
        assert first["session"] != second["session"]
        status, answer, _ = await one.call("alice", "OpenShell", {"session": first["session"]}, shell="shell-three")
        assert (status, answer["error"]["code"]) == (403, "SharingNotAllowed")

    shared(story, "dedicated")


def test_shared_shells_live_in_one_session_until_the_last_is_closed(shared):
    async def story(one: Plane):
        first = await opened(one, "shell-one")
        second = await opened(one, "shell-two")
        assert second["session"] == first["session"]
        assert (second["state"], second.get("guest", False)) == ("Running", False)
        assert one.reserved() == 1

        status, closed, headers = await one.call("alice", "CloseShell", shell="shell-one")
        assert (status, closed["state"], closed["openShells"]) == (202, "Running", 1)
        operation = headers["operation-location"].partition("?")[0].rpartition("/")[2]
        assert (await one.call("alice", "GetOperation", operation=operation))[1]["status"] == "Succeeded"
        await one.run_for(20)
        assert one.session(first["session"]).state is SessionState.RUNNING
        assert await one.renew(shell="shell-one") == 409
        assert await one.renew(shell="shell-two") == 200

        await one.call("alice", "CloseShell", shell="shell-two")
        await one.run_for(30)
        assert one.session(first["session"]).end_reason is EndReason.SHELLS_CLOSED
        one.check_nothing_left()

    shared(story, "shared")


def test_a_shell_joins_only_its_own_users_session_of_its_type_image_and_region(shared):
    async def story(one: Plane):
        mine = await opened(one, "shell-one")
        others = await opened(one, "shell-two", "bob")
        elsewhere = await opened(one, "shell-three", region="swedencentral")
        assert len({mine["session"], others["session"], elsewhere["session"]}) == 3
        status, answer, _ = await one.call("bob", "OpenShell", {"session": mine["session"]}, shell="shell-four")
        assert (status, answer["error"]["code"]) == (409, "SessionNotJoinable")
        status, missing, _ = await one.call("bob", "OpenShell", {"session": "a" * 26}, shell="shell-four")
        assert (status, missing["error"]["code"]) == (409, "SessionNotJoinable")
        assert missing["error"]["message"].replace("a" * 26, "") == answer["error"]["message"].replace(
            mine["session"], ""
        )

    shared(story, "shared", cap=4, per_user=2)


def test_the_same_shell_asked_for_again_is_the_same_although_it_joined(shared):
    async def story(one: Plane):
        await opened(one, "shell-one")
        await one.open("alice", "shell-two")
        status, again, _ = await one.call("alice", "OpenShell", {}, shell="shell-two")
        assert (status, again["state"]) == (200, "Running")
        assert len(one.session(again["session"]).shells) == 2

    shared(story, "shared")


def test_a_shell_joins_a_session_that_waits_and_one_that_comes_up(shared):
    async def story(one: Plane):
        await opened(one, "shell-bob", "bob")
        waiting = await one.open("alice", "shell-one", wait=True)
        assert waiting["state"] == "Waiting"
        second = await one.open("alice", "shell-two", wait=True)
        assert second["session"] == waiting["session"]
        await one.call("bob", "CloseShell", shell="shell-bob")
        await one.run_for(60)
        for shell in ("shell-one", "shell-two"):
            assert (await one.call("alice", "GetShell", shell=shell))[1]["state"] == "Running"
            assert await one.renew(shell=shell) == 200

    shared(story, "shared", cap=1)


def test_a_guest_joins_at_the_own_limit_and_is_told_when_a_gpu_of_its_own_is_free(shared):
    async def story(one: Plane):
        first, second = await opened(one, "shell-one"), await opened(one, "shell-two")
        guest = await opened(one, "shell-three")
        assert first["session"] != second["session"] == guest["session"]
        assert guest["guest"] is True
        told = (await one.call("alice", "RenewLease", {}, shell="shell-three"))[1]
        assert told.get("warnings", []) == []

        await one.call("alice", "CloseShell", shell="shell-one")
        await one.run_for(30)
        one.world.sessions._recent_books.clear()
        told = (await one.call("alice", "RenewLease", {}, shell="shell-three"))[1]
        assert [warning["kind"] for warning in told["warnings"]] == ["OwnGpuAvailable"]
        assert (await one.call("alice", "RenewLease", {}, shell="shell-two"))[1].get("warnings", []) == []
        assert one.session(guest["session"]).state is SessionState.RUNNING

    shared(story, "dedicatedThenShared", cap=4, per_user=2)


def test_the_activity_of_one_shell_keeps_the_session_of_both_and_each_is_told_the_true_end(shared):
    async def story(one: Plane):
        await opened(one, "shell-one")
        await opened(one, "shell-two")
        for _ in range(40):
            await one.run_for(60)
            await one.renew(shell="shell-one", active_s_ago=3600)
            await one.renew(shell="shell-two", active_s_ago=0)
        _, idle_one, _ = await one.call("alice", "RenewLease", {"activeSecondsAgo": 3600}, shell="shell-one")
        _, busy_one, _ = await one.call("alice", "RenewLease", {"activeSecondsAgo": 0}, shell="shell-two")
        assert (idle_one["stopReason"], busy_one["stopReason"]) == ("Idle", "Idle")
        assert idle_one["stopsAt"] == busy_one["stopsAt"]

    shared(story, "shared")


def test_a_shell_that_comes_when_the_stop_is_decided_gets_a_session_of_its_own(shared):
    async def story(one: Plane):
        first = await opened(one, "shell-one")
        await one.call("alice", "CloseShell", shell="shell-one")
        second = await opened(one, "shell-two")
        assert second["session"] != first["session"]

    shared(story, "shared")


def test_two_closed_at_once_leave_no_session_without_a_shell(shared):
    async def story(one: Plane):
        first = await opened(one, "shell-one")
        await opened(one, "shell-two")
        await asyncio.gather(*(one.call("alice", "CloseShell", shell=shell) for shell in ("shell-one", "shell-two")))
        await one.run_for(60)
        assert one.session(first["session"]).state is SessionState.ENDED
        one.check_nothing_left()

    shared(story, "shared")
