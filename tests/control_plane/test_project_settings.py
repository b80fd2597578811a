"""Settings over the API: all faults at once, tries that write nothing, Dev Center's locks, an end for what runs."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest

from api.openapi import document
from shared.domain.governance import Governance
from shared.domain.names import ProjectId
from shared.domain.records import OutboxRow, SettingsRow
from shared.domain.settings import Mode
from tests.control_plane.plane import START, Plane, plane

SECTION = "serverlessGpuSessionsSettings"
MODE, CAP = "serverlessGpuSessionsMode", "maxConcurrentSessionsPerProject"
ANY = {"if-match": "*"}
DISABLE = {SECTION: {MODE: "Disabled"}}
LOCKED = Governance(mode=Mode.DISABLED, max_concurrent=3, mode_locked=True, cap_locked=True)


def played(folder: Path, story) -> None:
    async def run() -> None:
        async with plane(folder) as one:
            await story(one)

    asyncio.run(run())


def stored(one: Plane, project: str = "demo") -> SettingsRow | None:
    found = one.world.sessions.settings(ProjectId(project))
    return found.row if found else None


async def patch(one: Plane, body, who: str = "carol", /, *, headers=ANY, **query: str):
    return await one.call(who, "UpdateSettings", body, headers=headers, query=query)


@pytest.mark.parametrize("name", ["ReplaceSettings", "UpdateSettings"])
def test_all_faults_of_shape_and_of_bounds_are_named_at_once_and_nothing_is_written(tmp_path, name):
    wrong = {
        "gpuTypes": [{"type": "T4"}, {"type": "V100"}],
        "idle": {"timeoutMinutes": 0, "graceMinutes": "two"},
        "surprise\x1b[2J": 1,
        "line": {"maxLength": 1.5},
    }

    async def story(one: Plane):
        before = stored(one)
        status, answer, _ = await one.call("carol", name, wrong, headers=ANY)

        error = answer["error"]
        assert (status, error["code"]) == (400, "InvalidParameter")
        told = {detail["target"]: detail["message"] for detail in error["details"]}
        assert set(told) == {
            "surprise?[2J",
            "gpuTypes[1].type",
            "idle.graceMinutes",
            "line.maxLength",
            "idle.timeoutMinutes",
        }
        assert told["gpuTypes[1].type"] == "must be T4 or A100; it is 'V100'"
        assert {detail["code"] for detail in error["details"]} == {"InvalidParameter"}
        assert stored(one) == before

    played(tmp_path, story)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"[]", "Expected `object`"),
        (b'{"maxLifetimeMinutes": NaN}', "not JSON"),
        (b'{"maxLifetimeMinutes": 1e999}', "out of range"),
        (b'{"maxLifetimeMinutes": ' + b"9" * 5000 + b"}", "out of range"),
        (b'{"labels": ' + b"[" * 7000 + b"]" * 7000 + b"}", "10 deep"),
        (b'{"a": ' * 11 + b"1" + b"}" * 11, "10 deep"),
    ],
)
@pytest.mark.parametrize("name", ["ReplaceSettings", "UpdateSettings"])
def test_a_body_that_cannot_be_read_is_refused(tmp_path, name, body, said):
    async def story(one: Plane):
        status, answer, _ = await one.call("carol", name, body, headers=ANY)
        assert (status, answer["error"]["code"]) == (400, "InvalidRequest")
        assert said in answer["error"]["message"]

    played(tmp_path, story)


def test_of_very_many_faults_a_hundred_are_told_and_the_rest_counted(tmp_path):
    async def story(one: Plane):
        status, answer, _ = await patch(one, {"idle": {"warnMinutes": ["x"] * 150}})
        assert status == 400
        assert len(answer["error"]["details"]) == 100
        assert answer["error"]["message"].endswith("; and 51 more")

    played(tmp_path, story)


def test_what_get_answers_can_be_put_back_as_it_is(tmp_path):
    async def story(one: Plane):
        await patch(one, {"budget": {"monthlyAmount": "99.50"}, "labels": {"team": "vision"}})
        _, present, headers = await one.call("carol", "GetSettings")
        status, again, _ = await one.call("carol", "ReplaceSettings", present, headers={"if-match": headers["etag"]})
        assert (status, again) == (200, present)
        assert present["budget"]["monthlyAmount"] == "99.50"

    played(tmp_path, story)


def test_a_patch_resets_by_null_and_replaces_lists_whole(tmp_path):
    async def story(one: Plane):
        await patch(one, {"idle": {"graceMinutes": 7, "timeoutMinutes": 60}, "gpuTypes": [{"type": "A100"}]})
        _, changed, _ = await patch(one, {"idle": {"graceMinutes": None}, "budget": {"monthlyAmount": 5}})
        assert (changed["idle"]["graceMinutes"], changed["idle"]["timeoutMinutes"]) == (2, 60)
        assert [entry["type"] for entry in changed["gpuTypes"]] == ["A100"]
        _, reset, _ = await patch(one, {"gpuTypes": None, "budget": None})
        assert [entry["type"] for entry in reset["gpuTypes"]] == ["T4"]
        assert reset["budget"] is None

    played(tmp_path, story)


def test_an_empty_patch_changes_nothing_and_leaves_no_trace(tmp_path):
    async def story(one: Plane):
        _, present, headers = await one.call("carol", "GetSettings")
        traces = len(one.tables.rows("core", "o-", OutboxRow))
        status, answer, told = await patch(one, {}, headers={"if-match": headers["etag"]})
        assert (status, answer, told["etag"]) == (200, present, headers["etag"])
        assert len(one.tables.rows("core", "o-", OutboxRow)) == traces
        assert (await patch(one, {}, headers={}))[0] == 428
        assert (await patch(one, {}, headers={"if-match": '"old"'}))[0] == 412

    played(tmp_path, story)


def test_a_dry_run_checks_everything_and_writes_nothing(tmp_path):
    async def story(one: Plane):
        before, commits = stored(one), one.tables.commits
        _, _, headers = await one.call("carol", "GetSettings")
        wanted = {"idle": {"timeoutMinutes": 45}}
        status, answer, told = await patch(one, wanted, dryRun="true")
        assert (status, answer["idle"]["timeoutMinutes"]) == (200, 45)
        assert told["etag"] == headers["etag"]
        assert (await patch(one, {"idle": {"timeoutMinutes": 0}}, dryRun="true"))[0] == 400
        assert (await patch(one, wanted, headers={"if-match": '"old"'}, dryRun="true"))[0] == 412
        one.governance.told["demo"] = LOCKED
        assert (await patch(one, {SECTION: {CAP: 4}}, dryRun="true"))[0] == 409
        assert (await patch(one, DISABLE, dryRun="true", runningSessions="stop"))[0] == 200
        assert (stored(one), one.tables.commits) == (before, commits)
        assert (await patch(one, wanted, dryRun="false"))[0] == 200
        assert stored(one) != before

    played(tmp_path, story)


@pytest.mark.parametrize(
    ("query", "target"),
    [({"dryRun": "yes"}, "dryRun"), ({"dryRun": ""}, "dryRun"), ({"runningSessions": "kill"}, "runningSessions")],
)
def test_a_query_value_that_is_none_is_refused_by_name(tmp_path, query, target):
    async def story(one: Plane):
        status, answer, _ = await patch(one, DISABLE, **query)
        assert (status, answer["error"]["code"], answer["error"]["target"]) == (400, "InvalidParameter", target)
        assert stored(one).settings.enabled

    played(tmp_path, story)


def test_a_write_beyond_a_lock_is_refused_by_its_place(tmp_path):
    async def story(one: Plane):
        one.governance.told["demo"] = LOCKED
        for body, targets in (
            ({SECTION: {MODE: "AutoDeploy"}}, [MODE]),
            ({SECTION: {CAP: 4}}, [CAP]),
            ({SECTION: {MODE: "AutoDeploy", CAP: 4}}, [MODE, CAP]),
        ):
            for name in ("ReplaceSettings", "UpdateSettings"):
                status, answer, headers = await one.call("carol", name, body, headers=ANY)
                error = answer["error"]
                assert (status, error["code"]) == (409, "SettingLockedByPolicy")
                assert headers["x-ms-error-code"] == "SettingLockedByPolicy"
                assert error["target"] == f"{SECTION}.{targets[0]}"
                assert [detail["target"] for detail in error["details"]] == [f"{SECTION}.{name}" for name in targets]
        assert (await patch(one, {"idle": {"timeoutMinutes": 45}}))[0] == 200
        assert (await patch(one, {SECTION: {CAP: 3}}))[0] == 200

    played(tmp_path, story)


def test_a_value_above_what_dev_center_has_but_does_not_lock_is_written_and_holds_lower(tmp_path):
    async def story(one: Plane):
        one.governance.told["demo"] = Governance(mode=Mode.DISABLED, max_concurrent=3)
        status, written, _ = await patch(one, {SECTION: {MODE: "AutoDeploy", CAP: 9}})
        assert (status, written[SECTION]) == (200, {MODE: "AutoDeploy", CAP: 9})
        _, view, _ = await one.call("alice", "GetSettings", query={"view": "effective"})
        assert view["settings"][SECTION] == {MODE: "Disabled", CAP: 3}
        assert view["sources"][f"{SECTION}.{CAP}"] == "devCenter"
        assert view["locks"] == []

    played(tmp_path, story)


def test_the_effective_view_tells_sources_and_locks_under_the_settings_etag(tmp_path):
    async def story(one: Plane):
        one.governance.told["demo"] = LOCKED
        _, _, plain = await one.call("alice", "GetSettings")
        status, view, headers = await one.call(
            "alice", "GetSettings", query={"view": "effective"}, headers={"if-none-match": plain["etag"]}
        )
        assert (status, headers["etag"]) == (200, plain["etag"])
        assert view["settings"][SECTION] == {MODE: "Disabled", CAP: 3}
        assert view["sources"][f"{SECTION}.{MODE}"] == view["sources"][f"{SECTION}.{CAP}"] == "policy"
        assert view["sources"]["maxConcurrentSessionsPerUser"] == "project"
        assert view["sources"]["idle.timeoutMinutes"] == "default"
        assert [lock["setting"] for lock in view["locks"]] == [f"{SECTION}.{MODE}", f"{SECTION}.{CAP}"]
        assert (await one.call("alice", "GetSettings", query={"view": "all"}))[1]["error"]["target"] == "view"
        assert (await one.call("dave", "GetSettings", query={"view": "effective"}))[0] == 404

    played(tmp_path, story)


def test_settings_that_nobody_has_written_hold_as_defaults(tmp_path):
    async def story(one: Plane):
        _, view, headers = await one.call("olga", "GetSettings", project="other", query={"view": "effective"})
        assert set(view["sources"].values()) == {"default"}
        assert headers["etag"] == '"0"'

    played(tmp_path, story)


def test_without_an_answer_of_dev_center_a_project_can_be_disabled_but_not_enabled(tmp_path):
    async def story(one: Plane):
        one.governance.away = True
        status, answer, headers = await patch(one, {SECTION: {MODE: "AutoDeploy"}})
        assert (status, answer["error"]["code"]) == (503, "ServiceUnavailable")
        assert "retry-after" in headers
        assert (await one.call("alice", "GetSettings", query={"view": "effective"}))[0] == 503
        assert (await one.call("alice", "GetSettings"))[0] == 200
        assert (await patch(one, DISABLE, runningSessions="stop"))[0] == 200

    played(tmp_path, story)


def test_disabling_with_a_stop_gives_running_sessions_the_longest_warning(tmp_path):
    async def story(one: Plane):
        await patch(one, {"idle": {"timeoutMinutes": 60, "warnMinutes": [2, 9]}})
        await patch(one, DISABLE, runningSessions="stop")
        assert stored(one).stop_running_at == START + timedelta(minutes=9)
        await one.run_for(60)
        await patch(one, {"labels": {"a": "b"}})
        await patch(one, {}, runningSessions="stop")
        await patch(one, DISABLE, runningSessions="keep")
        assert stored(one).stop_running_at == START + timedelta(minutes=9), "later writes neither end nor move it"
        await patch(one, {SECTION: {MODE: "AutoDeploy"}})
        assert stored(one).stop_running_at is None

    played(tmp_path, story)


def test_without_warnings_running_sessions_have_five_minutes_and_kept_ones_no_end(tmp_path):
    async def story(one: Plane):
        await patch(one, {"idle": {"warnMinutes": []}, **DISABLE})
        assert stored(one).stop_running_at is None
        await patch(one, {}, runningSessions="stop")
        assert stored(one).stop_running_at == START + timedelta(minutes=5)
        told = [row.data for row in one.tables.rows("core", "o-", OutboxRow)]
        assert max(told, key=lambda data: data["revision"])["stopRunningAt"] == "2026-11-21T09:05:00Z"

    played(tmp_path, story)


@pytest.mark.parametrize("body", [{}, {SECTION: {MODE: "AutoDeploy"}}, {"labels": {"a": "b"}}])
def test_a_stop_of_running_sessions_goes_with_disabling_alone(tmp_path, body):
    async def story(one: Plane):
        before = stored(one)
        status, answer, _ = await patch(one, body, runningSessions="stop")
        error = answer["error"]
        assert (status, error["code"], error["target"]) == (400, "InvalidParameter", "runningSessions")
        assert stored(one) == before

    played(tmp_path, story)


def test_the_document_tells_both_forms_of_the_settings():
    entry = document()["paths"]["/projects/{project}/gpuSettings"]

    forms = entry["get"]["responses"]["200"]["content"]["application/json"]["schema"]["anyOf"]
    assert [form["$ref"].rpartition("/")[2] for form in forms] == ["GpuSettings", "EffectiveSettings"]
    body = entry["put"]["requestBody"]["content"]["application/json"]["schema"]
    assert body["$ref"].endswith("/GpuSettings")
    assert {part.get("name") for part in entry["patch"]["parameters"]} >= {"dryRun", "runningSessions"}
