"""`devboxgpu project`: who sees what, and how settings change: in one piece, over nobody else's change, and said."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from conftest import Terminal

CAP = "serverlessGpuSessionsSettings.maxConcurrentSessionsPerProject"
MODE = "serverlessGpuSessionsSettings.serverlessGpuSessionsMode"


def sent(terminal: Terminal) -> dict[str, object] | None:
    """The one patch that was sent."""
    (patch,) = terminal.plane.made("PATCH", "/gpuSettings")
    return patch.body


def test_projects_are_listed_with_their_use(terminal: Terminal) -> None:
    terminal.plane.project.budget_spent = "12.5"

    lines = terminal.ask("project", "list").stdout.decode().splitlines()

    assert lines[0].split()[:3] == ["PROJECT", "GPU", "ROLE"]
    assert "  3 of 4    1 of 2  2        T4 1 of 3, A100 1 of 1" in lines[1]
    assert lines[1].endswith("dedicated  12.50 USD of 500.00 USD")


def test_projects_are_listed_where_none_is_configured(terminal: Terminal) -> None:
    done = terminal.ask("project", "list", "-o", "tsv", "--query", "[].id", DEVBOXGPU_PROJECT="")

    assert (done.stdout, done.returncode) == (b"demo\n", 0)


def test_a_project_is_shown_with_the_source_of_every_setting(terminal: Terminal) -> None:
    terminal.plane.project.sources = {"idle.timeoutMinutes": "policy", "line": "default"}
    terminal.plane.project.locks = {"idle.timeoutMinutes": "the Dev Center's policy 'short' says at most 30"}

    done = terminal.ask("project", "show", "demo")

    rows = {line.split()[0]: line for line in done.stdout.decode().splitlines() if line}
    assert rows["demo"].split()[:3] == ["demo", "enabled", "administrator"]
    assert rows["SETTING"].split() == ["SETTING", "VALUE", "FROM", "POLICY"]
    assert rows["idle.timeoutMinutes"].split()[1:3] == ["30", "policy"]
    assert rows["idle.timeoutMinutes"].endswith("the Dev Center's policy 'short' says at most 30")
    assert "T4=3, A100=1" in rows["gpuTypes"]
    assert "westus3, swedencentral (env-se)" in rows["regions"]
    assert rows["images.registries"].split()[1:] == ["none", "project"]
    assert rows[MODE].split()[1:] == ["AutoDeploy", "project"]


def test_a_project_is_shown_whole_to_programs(terminal: Terminal) -> None:
    shown = json.loads(terminal.ask("project", "show", "-o", "json").stdout)

    assert shown["project"]["id"] == "demo"
    assert shown["settings"] == terminal.plane.project.settings
    assert shown["sources"]["idle.timeoutMinutes"] == "project"
    assert shown["locks"] == []


def test_a_part_of_a_project_can_be_picked(terminal: Terminal) -> None:
    done = terminal.ask("project", "show", "--query", "settings.idle.timeoutMinutes", "-o", "tsv")

    assert done.stdout == b"30.0\n"


def test_settings_for_programs_have_a_line_each(terminal: Terminal) -> None:
    lines = terminal.ask("project", "show", "-o", "tsv").stdout.decode().splitlines()

    assert "maxConcurrentSessionsPerUser\t2\tproject\t" in lines


@pytest.mark.parametrize("arguments", [["show", "nobodys"], ["set", "nobodys", "--max-concurrent", "3"]])
def test_a_project_that_is_not_there_is_not_found(terminal: Terminal, arguments: list[str]) -> None:
    done = terminal.ask("project", *arguments)

    assert (done.stdout, done.returncode) == (b"", 3)
    assert b"NotFound" in done.stderr


def test_what_changed_is_said_from_what_to_what(terminal: Terminal) -> None:
    done = terminal.ask("project", "set", "--max-concurrent", "8", "--idle-timeout", "1h30m", "--sharing", "shared")

    assert done.returncode == 0
    assert done.stdout.decode().splitlines() == [
        f"{CAP}: 4 -> 8",
        "shellSharing: dedicated -> shared",
        "idle.timeoutMinutes: 30 -> 90",
    ]
    assert done.stderr == b"devboxgpu: project demo: 3 settings changed\n"
    assert terminal.plane.project.settings["shellSharing"] == "shared"
    assert terminal.plane.made("PATCH", "/gpuSettings")[0].headers["if-match"] == '"7-a"'


@pytest.mark.parametrize(
    ("options", "patch"),
    [
        (["--enable"], {"serverlessGpuSessionsSettings": {"serverlessGpuSessionsMode": "AutoDeploy"}}),
        (["--max-per-user", "3"], {"maxConcurrentSessionsPerUser": 3}),
        (["--idle-grace", "90s"], {"idle": {"graceMinutes": 1.5}}),
        (["--idle-grace", "0"], {"idle": {"graceMinutes": 0}}),
        (["--max-lifetime", "8h", "--extend-limit", "120"], {"maxLifetimeMinutes": 480, "extendLimitMinutes": 120}),
        (
            ["--no-line", "--line-length", "9", "--line-timeout", "2h", "--fairness", "fifo"],
            {"line": {"enabled": False, "maxLength": 9, "timeoutMinutes": 120, "fairness": "fifo"}},
        ),
        (
            ["--default-image", "a/b:1", "--require-digest"],
            {"images": {"default": "a/b:1", "requireDigest": True}},
        ),
        (["--no-require-vnet"], {"requireVirtualNetwork": False}),
        (["--gpu-types", "A100,T4"], {"gpuTypes": [{"type": "A100"}, {"type": "T4"}]}),
        (["--gpu-types", "T4=2"], {"gpuTypes": [{"type": "T4", "maxConcurrent": 2}]}),
        (
            ["--gpu-cap", "A100=5"],
            {
                "gpuTypes": [
                    {"type": "T4", "maxConcurrent": 3, "fallback": False},
                    {"type": "A100", "maxConcurrent": 5},
                ]
            },
        ),
        (
            ["--fallback", "A100"],
            {
                "gpuTypes": [
                    {"type": "T4", "maxConcurrent": 3, "fallback": False},
                    {"type": "A100", "maxConcurrent": 1, "fallback": True},
                ]
            },
        ),
        (
            ["--gpu-types", "T4,A100", "--fallback", "none"],
            {"gpuTypes": [{"type": "T4", "fallback": False}, {"type": "A100", "fallback": False}]},
        ),
        (
            ["--regions", "swedencentral, australiaeast"],
            {
                "regions": [
                    {"name": "swedencentral", "order": 1, "environmentId": "env-se"},
                    {"name": "australiaeast", "order": 2},
                ]
            },
        ),
        (
            ["--allow-registry", "team.azurecr.io/train/*=id-1", "--allow-registry", "team.azurecr.io/infer"],
            {
                "images": {
                    "registries": [
                        {"server": "team.azurecr.io", "repositories": ["train/*", "infer"], "identity": "id-1"}
                    ]
                }
            },
        ),
        (
            ["--budget", "500 eur", "--hard-stop"],
            {"budget": {"monthlyAmount": "500", "currency": "EUR", "hardStop": True}},
        ),
        (["--budget", "99.5"], {"budget": {"monthlyAmount": "99.5"}}),
        (["--budget", "none"], {"budget": None}),
    ],
)
def test_each_option_is_its_setting_and_leaves_the_rest(
    terminal: Terminal, options: list[str], patch: dict[str, object]
) -> None:
    terminal.ask("project", "set", *options)

    assert sent(terminal) == patch


def test_a_registry_that_is_allowed_joins_those_that_are(terminal: Terminal) -> None:
    there = {"server": "team.azurecr.io", "repositories": ["train/*"], "identity": "id-1"}
    terminal.plane.project.settings["images"] = {"registries": [there]}

    done = terminal.ask("project", "set", "--allow-registry", "team.azurecr.io/infer")

    assert done.stdout.decode() == (
        "images.registries: team.azurecr.io/train/* (pulled by id-1) -> "
        "team.azurecr.io/train/* team.azurecr.io/infer (pulled by id-1)\n"
    )


def test_a_budget_that_goes_is_said(terminal: Terminal) -> None:
    terminal.plane.project.settings["budget"] = {"monthlyAmount": "500", "currency": "USD", "hardStop": False}

    done = terminal.ask("project", "set", "--budget", "none")

    assert "budget.monthlyAmount: 500 -> none" in done.stdout.decode().splitlines()


def test_a_hard_stop_can_be_set_on_the_budget_that_is_there(terminal: Terminal) -> None:
    terminal.plane.project.settings["budget"] = {"monthlyAmount": "500", "currency": "USD", "hardStop": False}

    done = terminal.ask("project", "set", "--hard-stop")

    assert done.stdout == b"budget.hardStop: false -> true\n"


def test_options_go_over_a_file_and_a_null_takes_a_setting_away(terminal: Terminal, tmp_path: Path) -> None:
    file = tmp_path / "settings.json"
    file.write_text(
        json.dumps({"budget": None, "idle": {"timeoutMinutes": 5, "graceMinutes": 1}, "gpuTypes": [{"type": "A100"}]})
    )

    terminal.ask("project", "set", "--file", str(file), "--idle-timeout", "10m", "--fallback", "A100")

    assert sent(terminal) == {
        "budget": None,
        "idle": {"timeoutMinutes": 10, "graceMinutes": 1},
        "gpuTypes": [{"type": "A100", "fallback": True}],
    }


def test_a_patch_may_come_from_standard_input(terminal: Terminal) -> None:
    done = terminal.ask("project", "set", "--file", "-", data=b'{"labels": {"team": "ml"}}')

    assert done.stdout == b"labels.team: none -> ml\n"


def test_a_dry_run_says_what_would_change_and_writes_nothing(terminal: Terminal) -> None:
    done = terminal.ask("project", "set", "--max-concurrent", "8", "--dry-run")

    assert done.stdout.decode() == f"{CAP}: 4 -> 8\n"
    assert done.stderr == b"devboxgpu: project demo: 1 setting would change; nothing was written\n"
    assert done.returncode == 0
    assert terminal.plane.project.revision == 7


def test_what_is_so_already_is_no_change(terminal: Terminal) -> None:
    done = terminal.ask("project", "set", "--max-concurrent", "4")

    assert (done.stdout, done.returncode) == (b"", 0)
    assert b"nothing changes, its settings are so already" in done.stderr


def test_programs_get_the_settings_as_they_are_now(terminal: Terminal) -> None:
    done = terminal.ask("project", "set", "--max-per-user", "3", "-o", "json")

    assert json.loads(done.stdout) == terminal.plane.project.settings
    assert terminal.plane.project.settings["maxConcurrentSessionsPerUser"] == 3


@pytest.mark.parametrize(
    ("options", "asked", "said"),
    [
        ([], None, "live sessions go on until they end by themselves"),
        (["--running", "keep"], "keep", "live sessions go on until they end by themselves"),
        (["--running", "stop"], "stop", "live sessions are being stopped"),
    ],
)
def test_what_becomes_of_live_sessions_is_said_when_a_project_is_disabled(
    terminal: Terminal, options: list[str], asked: str | None, said: str
) -> None:
    done = terminal.ask("project", "set", "--disable", *options)

    assert done.stdout.decode() == f"{MODE}: AutoDeploy -> Disabled\n"
    assert said in done.stderr.decode()
    assert terminal.plane.project.running_sessions == asked


def test_a_change_is_not_written_over_somebody_elses(terminal: Terminal) -> None:
    terminal.plane.project.changed_by_another_before_writing = True

    done = terminal.ask("project", "set", "--max-concurrent", "8")

    assert (done.stdout, done.returncode) == (b"", 1)
    assert b"ConditionNotMet: the settings of demo are not those any more that were read" in done.stderr
    assert b"repeat the command (request req-7)" in done.stderr


def test_every_bad_value_has_a_line_with_its_place(terminal: Terminal) -> None:
    done = terminal.ask("project", "set", "--idle-timeout", "200h", "--max-per-user", "0", "--max-concurrent", "8")

    assert done.returncode == 1
    assert done.stderr.decode().splitlines() == [
        "devboxgpu: InvalidParameter: nothing was written, 2 values cannot be used (request req-7)",
        "devboxgpu: - idle.timeoutMinutes: must be from 1 to 10080; it is 12000",
        "devboxgpu: - maxConcurrentSessionsPerUser: must be from 1 to 500; it is 0",
    ]


def test_a_dry_run_finds_bad_values_too(terminal: Terminal) -> None:
    done = terminal.ask("project", "set", "--max-per-user", "0", "--dry-run")

    assert done.returncode == 1
    assert b"- maxConcurrentSessionsPerUser: must be from 1 to 500" in done.stderr


def test_only_an_administrator_changes_settings(terminal: Terminal) -> None:
    terminal.plane.project.role = "member"

    done = terminal.ask("project", "set", "--max-concurrent", "8")

    assert done.returncode == 1
    assert b"Forbidden: only an administrator of project demo may change its settings" in done.stderr


def test_a_setting_that_a_policy_decides_is_named(terminal: Terminal) -> None:
    terminal.plane.project.locks = {"idle.timeoutMinutes": "a policy of the Dev Center decides it"}

    done = terminal.ask("project", "set", "--idle-timeout", "45m")

    assert done.returncode == 1
    assert b"SettingLockedByPolicy: idle.timeoutMinutes: a policy of the Dev Center decides it" in done.stderr


def test_a_policy_about_a_part_of_what_changes_is_said_beside_it(terminal: Terminal) -> None:
    terminal.plane.project.locks = {"gpuTypes[1].maxConcurrent": "the Dev Center allows 1 A100\x1b[31m"}

    done = terminal.ask("project", "set", "--gpu-cap", "T4=2")

    assert done.stdout.decode() == (
        "gpuTypes: T4=3, A100=1 -> T4=2, A100=1 · policy: the Dev Center allows 1 A100 [31m\n"
    )


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ([], "nothing to set: say what is to change, such as --max-concurrent 8"),
        (["--dry-run"], "nothing to set"),
        (["--idle-timeout", "soon"], "'soon' is no duration"),
        (["--idle-timeout", "0"], "'0' is no time at all"),
        (["--max-concurrent", "many"], "'many' is not a valid integer"),
        (["--sharing", "all"], "'all' is not one of"),
        (["--gpu-types", "T4,,A100"], "'' is not TYPE=NUMBER"),
        (["--gpu-types", "T4=x"], "'T4=x' is not TYPE=NUMBER"),
        (["--gpu-cap", "T4"], "'T4' is not TYPE=NUMBER"),
        (["--gpu-cap", "H100=1"], "H100 is not among the project's GPU types (T4,A100): add it by --gpu-types"),
        (["--fallback", "H100"], "H100 is not among the project's GPU types"),
        (["--regions", "a,,b"], "has an empty name in it"),
        (["--allow-registry", "team.azurecr.io"], "is not SERVER/REPOSITORY[=IDENTITY]"),
        (["--budget", "much"], "'much' is no amount"),
        (["--hard-stop"], "give --budget AMOUNT too"),
        (["--budget", "none", "--hard-stop"], "give --budget AMOUNT too"),
        (["--running", "stop"], "--disable"),
        (["--running", "stop", "--enable"], "--disable"),
        (["--file", "no-such-file.json"], "no-such-file.json"),
    ],
)
def test_wrong_words_write_nothing_and_say_what_to_give(terminal: Terminal, options: list[str], what: str) -> None:
    done = terminal.ask("project", "set", *options, COLUMNS="300")

    assert (done.stdout, done.returncode) == (b"", 2)
    assert what in done.stderr.decode()
    assert not terminal.plane.made("PATCH", "")


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"{", "is not JSON"),
        (b"[]", "is not a JSON object of settings"),
        (b"{}", "nothing to set"),
        (b"\xff", "is not JSON"),
    ],
)
def test_a_file_that_is_no_patch_is_refused(terminal: Terminal, data: bytes, what: str) -> None:
    done = terminal.ask("project", "set", "--file", "-", data=data)

    assert done.returncode == 2
    assert what in done.stderr.decode()


def test_settings_without_a_tag_are_not_patched(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    project = terminal.plane.project
    monkeypatch.setattr(project, "read", lambda _call: (200, project.settings, {}))

    done = terminal.ask("project", "set", "--max-concurrent", "8")

    assert done.returncode == 1
    assert b"without an ETag" in done.stderr
    assert not terminal.plane.made("PATCH", "")


def test_a_project_without_a_budget_is_not_said_to_have_spent_nothing(terminal: Terminal) -> None:
    assert terminal.ask("project", "list").stdout.decode().splitlines()[1].endswith("no budget")
