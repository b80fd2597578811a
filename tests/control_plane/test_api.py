"""The HTTP API: what it answers to good requests, bad ones, and people who have no business here."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from openapi_spec_validator import validate

from api.openapi import document
from api.operations import OPERATIONS
from shared.domain.provisioning import AppCondition
from shared.domain.states import SessionState
from tests.control_plane.plane import Plane, plane
from tests.control_plane.surroundings import BY_NAME

UNKNOWN_SESSION = "a" * 26


def played(folder: Path, story) -> None:
    async def run() -> None:
        async with plane(folder) as one:
            await story(one)

    asyncio.run(run())


def code_of(answer) -> str:
    return answer["error"]["code"]


def test_opening_answers_201_with_a_monitor_and_the_same_again_answers_200(tmp_path):
    async def story(one: Plane):
        status, shell, headers = await one.call("alice", "OpenShell", {"labels": {"a": "b"}}, shell="shell-one")
        assert (status, shell["state"], shell["phase"]) == (201, "Provisioning", "Creating")
        assert headers["operation-location"].endswith(
            f"/api/projects/demo/operations/open-{shell['session']}?api-version=2026-12-01-preview"
        )
        assert headers["retry-after"] == "1"
        assert headers["etag"] == shell["etag"]
        await one.run_for(30)
        status, again, _ = await one.call("alice", "OpenShell", {"labels": {"a": "b"}}, shell="shell-one")
        assert (status, again["session"], again["state"]) == (200, shell["session"], "Running")

    played(tmp_path, story)


def test_a_shell_id_that_is_in_use_with_another_body_is_refused(tmp_path):
    async def story(one: Plane):
        await one.open()
        status, answer, headers = await one.call("alice", "OpenShell", {"region": "westus3"}, shell="shell-one")
        assert (status, code_of(answer)) == (409, "ShellExists")
        assert headers["x-ms-error-code"] == "ShellExists"

    played(tmp_path, story)


def test_two_users_may_choose_the_same_shell_id_and_never_meet(tmp_path):
    async def story(one: Plane):
        alices = await one.open("alice", "shell-one")
        bobs = await one.open("bob", "shell-one")
        assert alices["session"] != bobs["session"]
        _, seen, _ = await one.call("bob", "GetShell", shell="shell-one")
        assert seen["session"] == bobs["session"]

    played(tmp_path, story)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"{", "not JSON"),
        (b"[]", "Expected `object`"),
        ({"gpuType": "H100"}, "it may be T4 or A100 (at gpuType)"),
        ({"gpu_type": "T4"}, "gpu_type"),
        ({"surprise": 1}, "surprise"),
        ({"region": "west us"}, "region"),
        ({"labels": {"1x": "y"}}, "labels"),
        ({"labels": {"a": "\x1b[2J"}}, "labels"),
        ({"sessionName": "n" * 65}, "sessionName"),
    ],
)
def test_a_bad_body_is_refused_with_the_place_of_the_fault(tmp_path, body, said):
    async def story(one: Plane):
        status, answer, _ = await one.call("alice", "OpenShell", body, shell="shell-one")
        assert (status, code_of(answer)) == (400, "InvalidRequest")
        assert said in answer["error"]["message"]
        assert one.azure.puts == 0

    played(tmp_path, story)


def test_a_body_over_the_limit_is_refused(tmp_path):
    async def story(one: Plane):
        status, answer, _ = await one.call("alice", "OpenShell", b" " * 20_000 + b"{}", shell="shell-one")
        assert (status, code_of(answer)) == (413, "RequestBodyTooLarge")

    played(tmp_path, story)


@pytest.mark.parametrize(
    ("parts", "target"),
    [
        ({"project": "a'b", "shell": "shell-one"}, "project"),
        ({"shell": "short"}, "shell"),
        ({"shell": "Upper-Case-Shell"}, "shell"),
        ({"shell": "shell-one", "user": "alice' or 1 eq 1"}, "user"),
    ],
)
def test_a_bad_id_is_refused_by_name_and_rule(tmp_path, parts, target):
    async def story(one: Plane):
        status, answer, _ = await one.call("alice", "OpenShell", {}, **parts)
        assert (status, code_of(answer), answer["error"]["target"]) == (400, "InvalidParameter", target)

    played(tmp_path, story)


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ({"api-version": ""}, "MissingApiVersionParameter"),
        ({"api-version": "2020-01-01"}, "UnsupportedApiVersionValue"),
        ({"surprise": "1"}, "UnknownParameter"),
    ],
)
def test_a_bad_query_is_refused(tmp_path, query, code):
    async def story(one: Plane):
        status, answer, _ = await one.call("alice", "GetShell", shell="shell-one", query=query)
        assert (status, code_of(answer)) == (400, code)

    played(tmp_path, story)


@pytest.mark.parametrize("operation", [operation.name for operation in OPERATIONS if operation.versioned])
def test_every_operation_asks_for_a_token_and_says_so(tmp_path, operation):
    async def story(one: Plane):
        for token in (None, "forged"):
            parts = {"shell": "shell-one", "session": UNKNOWN_SESSION, "operation": "open-x"}
            wanted = {part: text for part, text in parts.items() if f"{{{part}}}" in BY_NAME[operation].route}
            status, answer, headers = await one.call(token, operation, **wanted)
            assert (status, code_of(answer)) == (401, "Unauthenticated")
            assert headers["www-authenticate"] == "Bearer"

    played(tmp_path, story)


@pytest.mark.parametrize(
    ("user", "project", "status", "code"),
    [("dave", "demo", 403, "NotEntitled"), ("erin", "demo", 403, "NotEntitled"), ("erin", "other", 403, "GpuDisabled")],
)
def test_who_has_no_dev_box_or_no_gpu_in_the_project_is_told_so(tmp_path, user, project, status, code):
    async def story(one: Plane):
        got, answer, _ = await one.call(user, "OpenShell", {}, project=project, shell="shell-one")
        assert (got, code_of(answer)) == (status, code)

    played(tmp_path, story)


@pytest.mark.parametrize("name", ["GetSession", "StopSession", "GetOperation"])
def test_anothers_object_answers_as_one_that_does_not_exist(tmp_path, name):
    async def story(one: Plane):
        view = await one.open("alice")
        real = {"session": view["session"], "operation": f"open-{view['session']}"}
        unreal = {"session": UNKNOWN_SESSION, "operation": f"open-{UNKNOWN_SESSION}"}
        part = "operation" if name == "GetOperation" else "session"
        theirs = await one.call("bob", name, **{part: real[part]})
        nothing = await one.call("bob", name, **{part: unreal[part]})
        assert theirs[:2] == nothing[:2]
        assert theirs[0] == 404
        assert one.session(view["session"]).stop_reason is None

    played(tmp_path, story)


@pytest.mark.parametrize("name", ["GetShell", "CloseShell", "ConnectShell", "RenewLease", "ListShells", "OpenShell"])
def test_another_users_shells_do_not_exist_for_a_member(tmp_path, name):
    async def story(one: Plane):
        view = await one.open("alice")
        status, answer, _ = await one.call("bob", name, user=view["user"], shell="shell-one")
        assert (status, code_of(answer)) == (404, "NotFound")

    played(tmp_path, story)


def test_not_even_an_administrator_gets_a_way_into_anothers_container(tmp_path):
    async def story(one: Plane):
        view = await one.opened("alice")
        for user in ("carol", "olga", "bob"):
            status, answer, _ = await one.call(user, "ConnectShell", user=view["user"], shell="shell-one")
            assert (status, code_of(answer)) == (404, "NotFound")
        status, way_in, headers = await one.call("alice", "ConnectShell", shell="shell-one")
        assert (status, way_in["token"]) == (200, f"canary-token-dbg-{view['session']}")
        assert headers["cache-control"] == "no-store"

    played(tmp_path, story)


def test_a_shell_that_is_not_ready_or_over_gives_no_way_in(tmp_path):
    async def story(one: Plane):
        one.azure.stages = (AppCondition.CREATING,) * 9
        view = await one.open()
        await one.run_for(1)
        status, answer, headers = await one.call("alice", "ConnectShell", shell="shell-one")
        assert (status, code_of(answer)) == (409, "ShellNotReady")
        assert "retry-after" in headers
        await one.call("alice", "CloseShell", shell="shell-one")
        status, answer, _ = await one.call("alice", "ConnectShell", shell="shell-one")
        assert (status, code_of(answer)) == (409, "ShellEnded")
        await one.run_for(60)
        assert one.session(view["session"]).state is SessionState.ENDED
        status, answer, _ = await one.call("alice", "ConnectShell", shell="shell-one")
        assert (status, code_of(answer)) == (409, "ShellEnded")

    played(tmp_path, story)


def test_closing_is_repeatable_and_an_absent_shell_is_no_error(tmp_path):
    async def story(one: Plane):
        await one.opened()
        assert (await one.call("alice", "CloseShell", shell="shell-one"))[0] == 202
        assert (await one.call("alice", "CloseShell", shell="shell-one"))[0] == 202
        await one.run_for(60)
        assert (await one.call("alice", "CloseShell", shell="shell-one"))[0] == 204
        assert (await one.call("alice", "CloseShell", shell="no-such-shell"))[0] == 204

    played(tmp_path, story)


def test_a_members_list_holds_own_sessions_and_an_administrators_all(tmp_path):
    async def story(one: Plane):
        mine = await one.open("alice", "shell-one")
        his = await one.open("bob", "shell-two")
        _, own, _ = await one.call("alice", "ListSessions")
        assert [row["id"] for row in own["value"]] == [mine["session"]]
        _, everyone, _ = await one.call("carol", "ListSessions")
        assert {row["id"] for row in everyone["value"]} == {mine["session"], his["session"]}
        _, page, _ = await one.call("olga", "ListSessions", query={"maxpagesize": "1"})
        assert len(page["value"]) == 1
        assert "after=" in page["nextLink"]
        _, filtered, _ = await one.call("carol", "ListSessions", query={"user": his["user"], "state": "requested"})
        assert [row["id"] for row in filtered["value"]] in ([his["session"]], [])
        status, answer, _ = await one.call("alice", "ListSessions", query={"state": "Dreaming"})
        assert (status, code_of(answer)) == (400, "InvalidParameter")
        assert (await one.call("dave", "ListSessions"))[0] == 404

    played(tmp_path, story)


def test_settings_are_written_only_against_the_version_that_was_read(tmp_path):
    async def story(one: Plane):
        _, present, headers = await one.call("carol", "GetSettings")
        etag = headers["etag"]
        assert (await one.call("carol", "GetSettings", headers={"if-none-match": etag}))[0] == 304
        assert (await one.call("carol", "ReplaceSettings", present))[0] == 428
        patch = {"maxConcurrentSessionsPerUser": 3}
        status, changed, fresh = await one.call("carol", "UpdateSettings", patch, headers={"if-match": etag})
        assert (status, changed["maxConcurrentSessionsPerUser"]) == (200, 3)
        assert fresh["etag"] != etag
        status, answer, _ = await one.call("carol", "UpdateSettings", patch, headers={"if-match": etag})
        assert (status, code_of(answer)) == (412, "ConditionNotMet")
        assert (await one.call("olga", "ReplaceSettings", present, headers={"if-none-match": "*"}))[0] == 412

    played(tmp_path, story)


def test_only_administrators_write_settings(tmp_path):
    async def story(one: Plane):
        status, answer, _ = await one.call("alice", "UpdateSettings", {}, headers={"if-match": "*"})
        assert (status, code_of(answer)) == (403, "Forbidden")
        assert (await one.call("erin", "UpdateSettings", {}, headers={"if-match": "*"}))[0] == 404

    played(tmp_path, story)


@pytest.mark.parametrize(
    "patch",
    [
        {"idle": {"timeoutMinutes": 0}},
        {"gpuTypes": [{"type": "V100"}]},
        {"serverlessGpuSessionsSettings": {"serverlessGpuSessionsMode": "On"}},
        {"invented": True},
        {"regions": [{"name": "mars"}]},
    ],
)
def test_bad_settings_change_nothing(tmp_path, patch):
    async def story(one: Plane):
        before = (await one.call("carol", "GetSettings"))[1:]
        status, answer, _ = await one.call("carol", "UpdateSettings", patch, headers={"if-match": "*"})
        assert status == 400, answer
        after = (await one.call("carol", "GetSettings"))[1:]
        assert (before[0], before[1]["etag"]) == (after[0], after[1]["etag"])

    played(tmp_path, story)


def test_offers_tell_types_prices_and_what_is_free(tmp_path):
    async def story(one: Plane):
        await one.opened("alice")
        _, offers, _ = await one.call("bob", "ListOffers")
        (t4,) = offers["value"]
        assert (t4["gpuType"], t4["maxConcurrent"], t4["freeNow"], t4["freeForYou"]) == ("T4", 4, 3, 2)
        assert (t4["waiting"], t4["expectedWaitSeconds"], t4["default"]) == (0, 0.0, True)
        price = {"amountPerHour": "1.5588", "currency": "USD"}
        assert t4["regions"][0] == {"name": "westus3", "price": price, "quotaFree": 100, "readySeconds": 5.2}
        assert t4["regions"][1] == {"name": "swedencentral", "price": price, "quotaFree": 100}

    played(tmp_path, story)


def test_storage_that_is_away_is_a_503_that_asks_to_come_back(tmp_path):
    async def story(one: Plane):
        one.tables.away = True
        status, answer, headers = await one.call("alice", "OpenShell", {}, shell="shell-one")
        assert (status, code_of(answer)) == (503, "ServiceUnavailable")
        assert headers["retry-after"] == "2"

    played(tmp_path, story)


def test_health_and_the_openapi_document_are_for_anyone(tmp_path):
    async def story(one: Plane):
        assert (await one.call(None, "GetHealth"))[1]["status"] == "ok"
        status, told, _ = await one.call(None, "GetOpenApi")
        assert (status, told["openapi"]) == (200, "3.1.0")

    played(tmp_path, story)


def test_the_openapi_document_is_valid_and_holds_every_operation():
    told = document()

    validate(told)
    ids = {entry["operationId"] for path in told["paths"].values() for entry in path.values()}
    assert ids == set(BY_NAME)


def test_no_answer_holds_an_address_of_the_durable_engine(tmp_path):
    async def story(one: Plane):
        view = await one.open()
        answers = [
            await one.call("alice", "GetShell", shell="shell-one"),
            await one.call("alice", "GetOperation", operation=f"open-{view['session']}"),
            await one.call("alice", "CloseShell", shell="shell-one"),
            await one.call("alice", "GetSession", session=view["session"]),
        ]
        assert not any(word in str(answers) for word in ("durabletask", "code=", "taskHub", "runtime/webhooks"))

    played(tmp_path, story)
