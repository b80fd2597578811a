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
            {"name": "swedencentral", "price": {"amountPerHour": "1.70", "currency": "USD"}},
        ],
        "maxConcurrent": 4,
        "freeNow": 3,
        "freeForYou": 2,
        "default": True,
    },
    {"gpuType": "A100", "regions": [{"name": "westus3"}], "maxConcurrent": 1, "freeNow": 0, "freeForYou": 0},
]


@pytest.fixture(autouse=True)
def some_data(terminal: Terminal) -> None:
    terminal.plane.sessions = [dict(session) for session in SESSIONS]
    terminal.plane.offers = OFFERS


def test_sessions_are_a_table_for_people(terminal: Terminal) -> None:
    lines = terminal.run("sessions", "list").stdout.decode().splitlines()

    assert lines[0].split() == ["SESSION", "STATE", "USER", "GPU", "REGION", "AGE", "EST.", "COST", "STOPS"]
    assert lines[1].split("  ")[0] == "s-1"
    assert "42 min 10 s" in lines[1]
    assert "0.41 USD" in lines[1]
    assert lines[1].endswith("2026-11-21T23:00:00Z (Idle)")
    assert "Provisioning (Pulling)" in lines[2]


def test_json_is_what_the_service_said_over_all_pages(terminal: Terminal) -> None:
    terminal.plane.page_size = 1

    done = terminal.run("sessions", "list", "-o", "json")

    assert json.loads(done.stdout) == SESSIONS
    assert len(terminal.plane.made("GET", "/sessions")) == 2


def test_tsv_has_a_line_each_and_no_titles(terminal: Terminal) -> None:
    done = terminal.run("sessions", "list", "-o", "tsv", "--query", "[].[id, state]")

    assert done.stdout == b"s-1\tRunning\ns-2\tProvisioning\n"


def test_a_query_may_give_one_value(terminal: Terminal) -> None:
    done = terminal.run("sessions", "show", "s-1", "--query", "labels.team", "-o", "tsv")

    assert done.stdout == b"ml\n"


def test_a_query_may_give_records(terminal: Terminal) -> None:
    done = terminal.run("sessions", "list", "--query", "[].{name: id, gpu: gpuType}")

    assert done.stdout == b"name  gpu\ns-1   T4\ns-2   A100\n"


def test_filters_are_passed_on(terminal: Terminal) -> None:
    terminal.run("sessions", "list", "--state", "Running", "--user", "me")

    query = terminal.plane.made("GET", "/sessions")[0].query
    assert (query["state"], query["user"]) == (["Running"], ["me"])


def test_no_sessions_leaves_the_output_empty_and_says_what_to_do(terminal: Terminal) -> None:
    terminal.plane.sessions = []

    done = terminal.run("sessions", "list")

    assert (done.stdout, done.returncode) == (b"", 0)
    assert b"devboxgpu shell" in done.stderr


def test_no_sessions_is_an_empty_list_for_programs(terminal: Terminal) -> None:
    terminal.plane.sessions = []

    assert json.loads(terminal.run("sessions", "list", "-o", "json").stdout) == []


def test_stopping_tells_what_happens(terminal: Terminal) -> None:
    done = terminal.run("sessions", "stop", "s-1", "--reason", "lunch")

    assert (done.stdout, done.returncode) == (b"", 0)
    assert b"session s-1: is stopping" in done.stderr
    assert terminal.plane.made("POST", "/stop")[0].body == {"reason": "lunch"}


@pytest.mark.parametrize("verb", ["show", "stop"])
def test_an_unknown_session_is_not_found(terminal: Terminal, verb: str) -> None:
    done = terminal.run("sessions", verb, "s-nobody")

    assert done.returncode == 3
    assert b"NotFound" in done.stderr


def test_gpus_show_price_and_what_is_free(terminal: Terminal) -> None:
    lines = terminal.run("gpus").stdout.decode().splitlines()

    assert lines[0].split()[:2] == ["GPU", "PRICE"]
    assert "1.56 USD to 1.70 USD" in lines[1]
    assert "westus3, swedencentral" in lines[1]
    assert lines[1].endswith("default")
    assert lines[2].split()[:2] == ["A100", "unknown"]


def test_whoami_shows_the_claims_and_never_the_token(terminal: Terminal) -> None:
    claims = {"oid": "oid-1", "preferred_username": "alice@demo.example", "roles": ["Gpu.Operator"], "exp": 1764000000}
    token = "h." + base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=") + ".s"

    done = terminal.run("whoami", "-o", "json", DEVBOXGPU_ACCESS_TOKEN=token)

    shown = json.loads(done.stdout)
    assert (shown["user"], shown["objectId"], shown["roles"]) == ("alice@demo.example", "oid-1", ["Gpu.Operator"])
    assert shown["tokenExpiresAt"] == "2025-11-24T16:00:00Z"
    assert (shown["project"], shown["tokenFrom"]) == ("demo", "DEVBOXGPU_ACCESS_TOKEN")
    assert token.encode() not in done.stdout


def test_debugging_names_calls_and_never_the_token(terminal: Terminal) -> None:
    done = terminal.run("sessions", "list", "--debug")

    assert b"GET /projects/demo/sessions?api-version=2026-12-01-preview -> 200" in done.stderr
    assert b"the-persons-token" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["no-such-verb"], 2),
        (["sessions", "no-such-verb"], 2),
        (["sessions", "show"], 2),
        (["sessions", "list", "--query", "[[["], 2),
        (["gpus", "-o", "xml"], 2),
        (["shell", "--no-such-flag"], 125),
        (["run"], 125),
        (["run", "--label", "novalue", "true"], 125),
        (["--help"], 0),
        (["--version"], 0),
    ],
)
def test_wrong_words_are_told_apart_by_the_exit_code(terminal: Terminal, arguments: list[str], code: int) -> None:
    done = terminal.run(*arguments)

    assert done.returncode == code
    assert bool(done.stderr) == bool(code)
    assert b"Traceback" not in done.stderr


def test_without_anything_configured_the_error_says_what_to_do(terminal: Terminal) -> None:
    done = terminal.run("gpus", DEVBOXGPU_ENDPOINT="", XDG_CONFIG_HOME=str(terminal.cwd))

    assert done.returncode == 1
    assert b"no control plane is configured" in done.stderr


def test_a_rejected_token_is_told_with_the_request(terminal: Terminal) -> None:
    done = terminal.run("gpus", DEVBOXGPU_ACCESS_TOKEN="another")

    assert done.returncode == 1
    assert b"Unauthorized: the token is not accepted (request req-7)" in done.stderr


def test_the_local_identity_signs_in(terminal: Terminal) -> None:
    done = terminal.run(
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


def test_help_does_not_wait_for_heavy_modules() -> None:
    program = (
        "import sys, devboxgpu.main as m; m.run_command(['--help']); "
        "sys.exit(any(name in sys.modules for name in ('rich', 'websockets', 'asyncio', 'http.client', 'jmespath')))"
    )

    assert subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=30, check=False).returncode == 0
