"""The verbs that show and change things: their output for people and for programs, and their exit codes."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import Terminal

SESSIONS: list[dict[str, object]] = [
    {
        "id": "s-1",
        "state": "Running",
        "user": "u-1",
        "gpuType": "T4",
        "region": "westus3",
        "durationSeconds": 2530,
        "cost": {"amount": "0.41", "currency": "USD"},
        "stopsAt": "2026-11-21T23:00:00Z",
        "stopReason": "Idle",
        "labels": {"team": "ml"},
    },
    {"id": "s-2", "state": "Provisioning", "phase": "Pulling", "user": "u-1", "gpuType": "A100", "region": None},
]
OFFERS: list[dict[str, object]] = [
    {
        "gpuType": "T4",
        "regions": [
            {"name": "westus3", "price": {"amountPerHour": "1.5588", "currency": "USD"}},
            {"name": "swedencentral", "price": {"amountPerHour": "1.70", "currency": "USD"}, "shortage": True},
            {"name": "australiaeast", "quotaFree": 0},
        ],
        "maxConcurrent": 4,
        "freeNow": 3,
        "freeForYou": 2,
        "waiting": 0,
        "expectedWaitSeconds": 0,
        "default": True,
    },
    {
        "gpuType": "A100",
        "regions": [{"name": "westus3"}],
        "maxConcurrent": 1,
        "freeNow": 0,
        "freeForYou": 0,
        "waiting": 3,
        "expectedWaitSeconds": 740,
        "fallback": True,
    },
    {"gpuType": "H100", "regions": [{"name": "westus3"}], "maxConcurrent": 1, "freeNow": 0, "freeForYou": 0},
]
EXPLANATION: dict[str, object] = {
    "session": "s-2",
    "state": "Waiting",
    "summary": "it waits because all 4 GPUs of demo are in use\x1b[1m",
    "reasons": [{"code": "ProjectGpuCapReached", "message": "4 of 4 GPUs are in use"}],
    "changes": [
        {"action": "devboxgpu sessions stop s-1", "message": "stop a session of your own"},
        {"message": "ask an administrator for a higher cap"},
    ],
    "queuePosition": 2,
    "queueLength": 5,
    "deadlines": [{"reason": "WaitTimedOut", "at": "2026-11-21T23:00:00Z"}],
    "tries": [{"region": "westus3", "gpuType": "A100", "code": "NoCapacity", "message": "none"}],
}


@pytest.fixture(autouse=True)
def some_data(terminal: Terminal) -> None:
    terminal.plane.sessions = [dict(session) for session in SESSIONS]
    terminal.plane.offers = OFFERS


def test_sessions_are_a_table_for_people(terminal: Terminal) -> None:
    lines = terminal.ask("sessions", "list").stdout.decode().splitlines()

    assert lines[0].split() == ["SESSION", "STATE", "USER", "GPU", "REGION", "AGE", "EST.", "COST", "STOPS"]
    assert lines[1].split("  ")[0] == "s-1"
    assert "42 min 10 s" in lines[1]
    assert "0.41 USD" in lines[1]
    assert lines[1].endswith("2026-11-21T23:00:00Z (Idle)")
    assert "Provisioning (Pulling)" in lines[2]


def test_json_is_what_the_service_said_over_all_pages(terminal: Terminal) -> None:
    terminal.plane.page_size = 1

    done = terminal.ask("sessions", "list", "-o", "json")

    assert json.loads(done.stdout) == SESSIONS
    assert len(terminal.plane.made("GET", "/sessions")) == 2


def test_tsv_has_a_line_each_and_no_titles(terminal: Terminal) -> None:
    done = terminal.ask("sessions", "list", "-o", "tsv", "--query", "[].[id, state]")

    assert done.stdout == b"s-1\tRunning\ns-2\tProvisioning\n"


def test_a_query_may_give_one_value(terminal: Terminal) -> None:
    done = terminal.ask("sessions", "show", "s-1", "--query", "labels.team", "-o", "tsv")

    assert done.stdout == b"ml\n"


def test_a_query_may_give_records(terminal: Terminal) -> None:
    done = terminal.ask("sessions", "list", "--query", "[].{name: id, gpu: gpuType}")

    assert done.stdout == b"name  gpu\ns-1   T4\ns-2   A100\n"


def test_filters_are_passed_on(terminal: Terminal) -> None:
    terminal.ask("sessions", "list", "--state", "Running", "--user", "me")

    query = terminal.plane.made("GET", "/sessions")[0].query
    assert (query["state"], query["user"]) == (["Running"], ["me"])


def test_no_sessions_leaves_the_output_empty_and_says_what_to_do(terminal: Terminal) -> None:
    terminal.plane.sessions = []

    done = terminal.ask("sessions", "list")

    assert (done.stdout, done.returncode) == (b"", 0)
    assert b"devboxgpu shell" in done.stderr


def test_no_sessions_is_an_empty_list_for_programs(terminal: Terminal) -> None:
    terminal.plane.sessions = []

    assert json.loads(terminal.ask("sessions", "list", "-o", "json").stdout) == []


def test_stopping_tells_what_happens(terminal: Terminal) -> None:
    done = terminal.ask("sessions", "stop", "s-1", "--reason", "lunch")

    assert (done.stdout, done.returncode) == (b"", 0)
    assert b"session s-1: is stopping" in done.stderr
    assert terminal.plane.made("POST", "/stop")[0].body == {"reason": "lunch"}


@pytest.mark.parametrize("words", [["show"], ["stop"], ["why"], ["extend", "--minutes", "5"]])
def test_an_unknown_session_is_not_found(terminal: Terminal, words: list[str]) -> None:
    done = terminal.ask("sessions", *words, "s-nobody")

    assert done.returncode == 3
    assert b"NotFound" in done.stderr


def test_gpus_show_price_and_what_is_free(terminal: Terminal) -> None:
    lines = terminal.ask("gpus").stdout.decode().splitlines()

    assert lines[0].split()[:2] == ["GPU", "PRICE"]
    assert "1.56 USD to 1.70 USD" in lines[1]
    assert "westus3, swedencentral (shortage), australiaeast (no quota left)" in lines[1]
    assert lines[1].endswith("default")
    assert lines[2].split()[:2] == ["A100", "unknown"]
    assert lines[2].endswith("fallback")


def test_a_price_that_was_brought_along_is_marked(terminal: Terminal) -> None:
    price = {"amountPerHour": "1.5588", "currency": "USD", "source": "bundled"}
    terminal.plane.offers = [{"gpuType": "T4", "regions": [{"name": "eastus", "price": price}]}]

    assert "1.56 USD (bundled)" in terminal.ask("gpus").stdout.decode()


def test_gpus_show_who_waits_and_for_how_long(terminal: Terminal) -> None:
    titles, *lines = terminal.ask("gpus").stdout.decode().splitlines()

    start, end = titles.index("IN LINE"), titles.index("REGIONS")
    assert [line[start:end].split("  ")[0].strip() for line in lines] == ["0", "3", ""]
    assert [line[titles.index("  WAIT") : end].strip() for line in lines] == ["none", "about 12 min", "unknown"]


def test_a_session_in_line_is_listed_with_its_place(terminal: Terminal) -> None:
    terminal.plane.sessions = [{"id": "s-3", "state": "Waiting", "queuePosition": 2}, {"id": "s-4", "state": "Waiting"}]

    lines = terminal.ask("sessions", "list").stdout.decode().splitlines()

    assert lines[1].split()[1:] == ["Waiting", "(2nd", "in", "line)"]
    assert lines[2].split() == ["s-4", "Waiting"]


def test_why_a_session_waits_and_what_would_change_it_is_told(terminal: Terminal) -> None:
    terminal.plane.explanations["s-2"] = EXPLANATION

    done = terminal.ask("sessions", "why", "s-2")

    assert done.returncode == 0
    assert done.stdout.decode().splitlines() == [
        "session s-2 · Waiting: it waits because all 4 GPUs of demo are in use [1m",
        "why:",
        "  4 of 4 GPUs are in use (ProjectGpuCapReached)",
        "in line:",
        "  2nd of 5 · wait unknown",
        "tried without success:",
        "  westus3/A100 had no GPU",
        "stops:",
        "  2026-11-21T23:00:00Z (WaitTimedOut)",
        "what would change it:",
        "  stop a session of your own: devboxgpu sessions stop s-1",
        "  ask an administrator for a higher cap",
    ]


def test_what_is_not_said_of_a_session_is_left_out(terminal: Terminal) -> None:
    terminal.plane.explanations["s-1"] = {"session": "s-1", "state": "Running", "stopsAt": "2026-11-21T23:00:00Z"}

    assert terminal.ask("sessions", "why", "s-1").stdout.decode().splitlines() == [
        "session s-1 · Running: the service does not say why",
        "stops:",
        "  2026-11-21T23:00:00Z",
    ]


def test_programs_get_an_explanation_as_it_came(terminal: Terminal) -> None:
    terminal.plane.explanations["s-2"] = EXPLANATION

    assert json.loads(terminal.ask("sessions", "why", "s-2", "-o", "json").stdout) == EXPLANATION
    picked = terminal.ask("sessions", "why", "s-2", "--query", "changes[].action", "-o", "tsv")
    assert picked.stdout == b"devboxgpu sessions stop s-1\n"


@pytest.mark.parametrize(("longer", "stop"), [("60", "2026-11-22T00:00:00Z"), ("1h30m", "2026-11-22T00:30:00Z")])
def test_extending_tells_the_new_stop(terminal: Terminal, longer: str, stop: str) -> None:
    done = terminal.ask("sessions", "extend", "s-1", "--minutes", longer)

    assert (done.stdout.decode(), done.returncode) == (f"session s-1 stops at {stop} (Idle)\n", 0)


def test_an_extended_session_is_data_for_programs(terminal: Terminal) -> None:
    done = terminal.ask("sessions", "extend", "s-1", "--minutes", "60", "--query", "stopsAt", "-o", "tsv")

    assert done.stdout == b"2026-11-22T00:00:00Z\n"
    assert terminal.plane.made("POST", "/extend")[0].body == {"minutes": 60}


def test_extending_further_than_the_project_allows_is_refused(terminal: Terminal) -> None:
    done = terminal.ask("sessions", "extend", "s-1", "--minutes", "10h")

    assert (done.stdout, done.returncode) == (b"", 1)
    assert b"ExtendLimitReached: a session may be extended by 240 minutes in all" in done.stderr


def test_extending_is_not_repeated_behind_the_persons_back(terminal: Terminal) -> None:
    terminal.plane.busy_answers = 1

    done = terminal.ask("sessions", "extend", "s-1", "--minutes", "60")

    assert done.returncode == 1
    assert len(terminal.plane.made("POST", "/extend")) == 1


def test_whoami_shows_the_claims_and_never_the_token(terminal: Terminal) -> None:
    claims = {"oid": "oid-1", "preferred_username": "alice@demo.example", "roles": ["Gpu.Operator"], "exp": 1764000000}
    token = "h." + base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=") + ".s"

    done = terminal.ask("whoami", "-o", "json", DEVBOXGPU_ACCESS_TOKEN=token)

    shown = json.loads(done.stdout)
    assert (shown["user"], shown["objectId"], shown["roles"]) == ("alice@demo.example", "oid-1", ["Gpu.Operator"])
    assert shown["tokenExpiresAt"] == "2025-11-24T16:00:00Z"
    assert (shown["project"], shown["tokenFrom"]) == ("demo", "DEVBOXGPU_ACCESS_TOKEN")
    assert token.encode() not in done.stdout


def test_debugging_names_calls_and_never_the_token(terminal: Terminal) -> None:
    done = terminal.ask("sessions", "list", "--debug")

    assert b"GET /projects/demo/sessions?api-version=2026-12-01-preview -> 200" in done.stderr
    assert b"the-persons-token" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["no-such-verb"], 2),
        (["sessions", "no-such-verb"], 2),
        (["sessions", "show"], 2),
        (["sessions", "why"], 2),
        (["sessions", "extend", "s-1"], 2),
        (["sessions", "extend", "s-1", "--minutes", "x"], 2),
        (["project", "no-such-verb"], 2),
        (["project", "show", "demo", "other"], 2),
        (["sessions", "list", "--query", "[[["], 2),
        (["gpus", "-o", "xml"], 2),
        (["shell", "--no-such-flag"], 125),
        (["run"], 125),
        (["run", "--label", "novalue", "true"], 125),
        (["--help"], 0),
        (["run", "-h"], 0),
        (["--version"], 0),
    ],
)
def test_wrong_words_are_told_apart_by_the_exit_code(terminal: Terminal, arguments: list[str], code: int) -> None:
    done = terminal.run(*arguments)  # in a process of its own: what is read of the words before leaves traces in click

    assert done.returncode == code
    assert bool(done.stderr) == bool(code)
    assert b"Traceback" not in done.stderr


def test_without_anything_configured_the_error_says_what_to_do(terminal: Terminal) -> None:
    done = terminal.ask("gpus", DEVBOXGPU_ENDPOINT="", XDG_CONFIG_HOME=str(terminal.cwd))

    assert done.returncode == 1
    assert b"no control plane is configured" in done.stderr


def test_a_rejected_token_is_told_with_the_request(terminal: Terminal) -> None:
    done = terminal.ask("gpus", DEVBOXGPU_ACCESS_TOKEN="another")

    assert done.returncode == 1
    assert b"Unauthorized: the token is not accepted (request req-7)" in done.stderr


def test_the_local_identity_signs_in(terminal: Terminal) -> None:
    done = terminal.ask(
        "gpus", DEVBOXGPU_ACCESS_TOKEN="", DEVBOXGPU_LOCAL_IDENTITY=f"http://127.0.0.1:{terminal.plane.port}"
    )

    assert done.returncode == 0


def test_local_runs_the_repositorys_own_program_and_gives_its_exit_code(terminal: Terminal, tmp_path: Path) -> None:
    repository = tmp_path / "clone"
    (repository / "localcloud").mkdir(parents=True)
    (repository / "host.json").write_text("{}")
    program = "import os, sys\nprint(sys.argv[1:], os.path.basename(os.getcwd()))\nsys.exit(7)\n"
    (repository / "localcloud" / "__main__.py").write_text(program)
    (repository / "localcloud" / "__init__.py").write_text("")
    program = (
        f"import devboxgpu.configuration as c, devboxgpu.main as m, pathlib, sys; c.__file__ = {str(tmp_path / 'x')!r}"
    )

    done = subprocess.run(
        [sys.executable, "-c", f"{program}; sys.exit(m.run_command(['local', 'status']))"],
        cwd=repository,
        env=terminal.environment,
        capture_output=True,
        timeout=30,
        check=False,
    )

    assert (done.stdout, done.returncode) == (b"['status'] clone\n", 7)
