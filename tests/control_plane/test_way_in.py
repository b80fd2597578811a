"""The way into a container: fetched just in time, for the shell's owner alone, while the session runs, kept nowhere."""

from __future__ import annotations

import asyncio
import logging

import pytest

from shared.domain.provisioning import AppCondition
from shared.domain.states import SessionState
from shared.ports.arm_answers import app_body
from shared.ports.container_apps import AppSpec
from tests.control_plane.plane import Plane

CANARY = "canary-token"


def kept(one: Plane) -> str:
    """Return all that is stored and published: tables, audit, events."""
    return f"{one.tables._rows} {one.topic.published} {one.audit()}"


def test_a_token_is_fetched_for_who_may_have_it_and_for_nobody_else(played_exactly):
    async def story(one: Plane):
        view = await one.opened("alice")
        assert one.azure.tokens_issued == 0
        for user in ("bob", "carol", "olga", "dave", "erin", "forged", None):
            await one.call(user, "ConnectShell", user=view["user"], shell="shell-one")
            await one.call(user, "ConnectShell", shell="shell-one")
        assert one.azure.tokens_issued == 0
        for number in (1, 2):
            status, way_in, headers = await one.call("alice", "ConnectShell", shell="shell-one")
            assert (status, way_in["token"]) == (200, f"{CANARY}-dbg-{view['session']}")
            assert headers["cache-control"] == "no-store"
            assert one.azure.tokens_issued == number

    played_exactly(story)


async def not_yet(one: Plane) -> None:
    one.azure.stages = (AppCondition.CREATING,) * 99
    await one.open()
    await one.run_for(1)


async def stopped(one: Plane) -> None:
    view = await one.opened()
    await one.call("carol", "StopSession", {}, session=view["session"])


async def closed(one: Plane) -> None:
    await one.opened()
    await one.call("alice", "CloseShell", shell="shell-one")


async def over(one: Plane) -> None:
    await closed(one)
    await one.run_for(90)


@pytest.mark.parametrize("come_to", [not_yet, stopped, closed, over])
def test_no_token_is_fetched_unless_the_session_runs(played_exactly, come_to):
    async def story(one: Plane):
        await come_to(one)
        status, answer, _ = await one.call("alice", "ConnectShell", shell="shell-one")
        expected = "ShellNotReady" if come_to is not_yet else "ShellEnded"
        assert (status, answer["error"]["code"]) == (409, expected)
        assert one.azure.tokens_issued == 0

    played_exactly(story)


def test_a_token_is_in_one_answer_and_in_nothing_that_is_kept(played, tmp_path, caplog):
    """Tables, audit, events, journal and every log line down to debug, over a whole life, and with Azure failing."""
    caplog.set_level(logging.DEBUG)

    async def story(one: Plane):
        view = await one.opened("alice")
        answers = [await one.call("alice", "ConnectShell", shell="shell-one")]
        answers += [
            await one.call("alice", "GetShell", shell="shell-one"),
            await one.call("alice", "GetSession", session=view["session"]),
            await one.call("alice", "ExplainSession", session=view["session"]),
            await one.call("carol", "ListActivity"),
            await one.call("alice", "RenewLease", {"activeSecondsAgo": 0}, shell="shell-one"),
            await one.call("alice", "CloseShell", shell="shell-one"),
        ]
        await one.run_for(90)
        assert one.session(view["session"]).state is SessionState.ENDED
        assert [CANARY in str(answer) for answer in answers] == [True] + [False] * 6
        assert view["session"] in kept(one), "what is kept was looked at"
        assert CANARY not in kept(one)

    played(tmp_path, story)
    journal = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert b"session" in journal
    assert CANARY.encode() not in journal
    assert caplog.text
    assert CANARY not in caplog.text


SPEC = AppSpec(
    name="dbg-one",
    region="westus3",
    environment_id="/environments/one",
    profile="gpu-t4",
    image="registry.example/gpu@sha256:0",
    cpu=8,
    memory_gib=56,
    tags={"devboxgpu-project": "demo"},
    registry="registry.example",
    pull_identity="/subscriptions/s/resourceGroups/g/providers/Microsoft.ManagedIdentity/userAssignedIdentities/pull",
)


def test_the_app_is_given_no_environment_no_secret_no_ingress_and_no_identity_inside():
    body = app_body(SPEC)
    (container,) = body["properties"]["template"]["containers"]
    configuration = body["properties"]["configuration"]

    assert set(container) == {"name", "image", "command", "args", "resources"}
    assert set(body["properties"]["template"]) == {"terminationGracePeriodSeconds", "containers", "scale"}
    assert set(configuration) == {"activeRevisionsMode", "registries", "identitySettings"}
    assert configuration["identitySettings"] == [{"identity": SPEC.pull_identity, "lifecycle": "None"}]
    assert list(body["identity"]["userAssignedIdentities"]) == [SPEC.pull_identity]
    assert body["identity"]["type"] == "UserAssigned"


def test_two_users_two_projects_the_same_ids_at_the_same_time_and_nothing_crosses(played_exactly):
    """Alice in `demo`, Erin in `other`, Bob beside Alice: the same shell id, name, labels, all calls side by side."""
    people = {"alice": "demo", "bob": "demo", "erin": "other"}

    async def story(one: Plane):
        await one.enable("other")

        async def all_call(name: str, body=None, /, **parts):
            asked = {
                who: one.call(who, name, body, project=project, **{part: of[who] for part, of in parts.items()})
                for who, project in people.items()
            }
            return dict(zip(asked, await asyncio.gather(*asked.values()), strict=True))

        same = dict.fromkeys(people, "shell-one")
        request = {"sessionName": "mine", "labels": {"team": "red"}}
        opened = await all_call("OpenShell", request, shell=same)
        assert {answer[0] for answer in opened.values()} == {201}
        sessions = {who: answer[1]["session"] for who, answer in opened.items()}
        assert len(set(sessions.values())) == 3
        await one.run_for(30)

        for name, parts in (
            ("GetShell", {"shell": same}),
            ("ListShells", {}),
            ("ConnectShell", {"shell": same}),
            ("RenewLease", {"shell": same}),
            ("ListSessions", {}),
            ("GetSession", {"session": sessions}),
            ("ExplainSession", {"session": sessions}),
            ("GetOperation", {"operation": {who: f"open-{session}" for who, session in sessions.items()}}),
            ("GetUsage", {}),
        ):
            body = {"activeSecondsAgo": 0} if name == "RenewLease" else None
            for who, (status, told, _) in (await all_call(name, body, **parts)).items():
                assert status == 200, (name, who, told)
                foreign = [session for other, session in sessions.items() if other != who]
                assert not any(session in str(told) for session in foreign), (name, who)

        # Each other's sessions through every other's project and name: there are none.
        for who, project in people.items():
            for other, session in sessions.items():
                if other != who:
                    for place in {project, people[other]}:
                        answer = await one.call(who, "StopSession", {}, project=place, session=session)
                        assert answer[0] == 404
        assert (await one.call("alice", "StopSession", {}, session=sessions["alice"]))[0] == 202
        await one.run_for(60)
        states = {who: one.session(session).state for who, session in sessions.items()}
        assert states == {"alice": SessionState.ENDED, "bob": SessionState.RUNNING, "erin": SessionState.RUNNING}

        owners = {app.spec.name: app.spec.tags["devboxgpu-project"] for app in one.azure.apps.values()}
        assert owners == {f"dbg-{sessions['bob']}": "demo", f"dbg-{sessions['erin']}": "other"}
        assert (one.reserved("demo"), one.reserved("other")) == (1, 1)
        for project, _, event in one.topic.published:
            told = f"{event.subject} {event.data}"
            assert not any(session in told for who, session in sessions.items() if people[who] != project)

    played_exactly(story)
