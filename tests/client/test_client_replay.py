"""`devboxgpu project replay`: what is asked, three columns, one sentence, and what is not known."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import pytest
from conftest import Terminal

FIGURES: dict[str, object] = {
    "sessions": 40,
    "admittedAtOnce": 36,
    "waited": 3,
    "waits": {"p50Seconds": 130.0, "p95Seconds": 840.0, "maxSeconds": 840.0},
    "stillWaiting": 0,
    "timedOut": 0,
    "gaveUp": 0,
    "neverRan": 1,
    "refused": {"UserGpuLimitReached": 1},
    "stoppedIdle": 5,
    "stoppedLifetime": 1,
    "gpuSeconds": 126_000,
    "cost": {"amount": "53.512345", "currency": "USD"},
    "unpricedSessions": 0,
    "mostAtOnce": 4,
    "utilisation": 0.1234,
    "doubts": {},
}
PROPOSED = {
    "waits": {"p50Seconds": 60.0, "p95Seconds": 1200.0, "maxSeconds": 1200.0},
    "waited": 9,
    "refused": {"ProjectGpuCapReached": 2},
    "gpuSeconds": 108_000,
    "cost": {"amount": "45.002345", "currency": "USD"},
    "doubts": {"idleUnknown": 4},
}
REPORT: dict[str, object] = {
    "begins": "2026-10-22T22:00:00Z",
    "ends": "2026-11-21T22:00:00Z",
    "truncated": False,
    "really": FIGURES,
    "present": {**FIGURES, "waits": None, "waited": 0},
    "proposed": {**FIGURES, **PROPOSED},
    "difference": {
        "saved": {"amount": "8.510000", "currency": "USD"},
        "notCompared": 0,
        "gpuSecondsSaved": 18_000,
        "usersWaitingLonger": 3,
        "usersTurnedAway": 1,
        "usersStopped": 2,
        "mostDelayed": [{"user": "u1", "userName": "alice@demo", "addedWaitSeconds": 1500.0, "sessions": 4}],
    },
    "settings": {},
}


@pytest.fixture
def reporting(terminal: Terminal) -> Terminal:
    terminal.plane.project.replayed = copy.deepcopy(REPORT)
    return terminal


def sent(terminal: Terminal) -> dict[str, object] | None:
    (call,) = terminal.plane.made("POST", "/replay")
    return call.body


@pytest.mark.parametrize(
    ("arguments", "body"),
    [
        ([], {"days": 30, "settings": {}}),
        (
            ["--cap", "4", "--idle", "20m", "--days", "7"],
            {
                "days": 7,
                "settings": {
                    "serverlessGpuSessionsSettings": {"maxConcurrentSessionsPerProject": 4},
                    "idle": {"timeoutMinutes": 20},
                },
            },
        ),
        (
            ["--per-user", "1", "--max-lifetime", "4h", "--fairness", "fifo", "--no-line"],
            {
                "days": 30,
                "settings": {
                    "maxConcurrentSessionsPerUser": 1,
                    "maxLifetimeMinutes": 240,
                    "line": {"enabled": False, "fairness": "fifo"},
                },
            },
        ),
        (["--gpu-types", "T4=2"], {"days": 30, "settings": {"gpuTypes": [{"type": "T4", "maxConcurrent": 2}]}}),
    ],
    ids=["nothing", "short names", "names of set", "types"],
)
def test_what_is_tried_is_sent_as_a_patch(reporting: Terminal, arguments: list[str], body: dict[str, object]) -> None:
    assert reporting.run("project", "replay", *arguments).returncode == 0
    assert sent(reporting) == body


def test_a_file_is_tried_with_options_over_it(reporting: Terminal, tmp_path: Path) -> None:
    file = tmp_path / "patch.json"
    file.write_text('{"idle": {"timeoutMinutes": 10}, "maxConcurrentSessionsPerUser": 3}')

    assert reporting.run("project", "replay", "--file", str(file), "--idle", "15m").returncode == 0
    settings = {"idle": {"timeoutMinutes": 15}, "maxConcurrentSessionsPerUser": 3}
    assert sent(reporting) == {"days": 30, "settings": settings}


def test_three_columns_and_a_sentence_are_shown(reporting: Terminal) -> None:
    done = reporting.run("project", "replay", "--cap", "2")

    lines = done.stdout.decode().splitlines()
    assert lines[0].split() == ["REALLY", "PRESENT", "SETTINGS", "PROPOSED", "SETTINGS"]
    assert any(
        line.split() == ["longest", "wait", "14", "min", "0", "s", "none", "20", "min", "0", "s"] for line in lines
    )
    assert any(
        line.startswith("refused: UserGpuLimitReached") and line.split()[-3:] == ["1", "1", "0"] for line in lines
    )
    assert any(line.startswith("refused: ProjectGpuCapReached") and line.split()[-1] == "2" for line in lines)
    assert any(line.startswith("cost") and "53.51 USD" in line and "45.00 USD" in line for line in lines)
    assert lines[-1] == (
        "Against the present settings, these would have saved 8.51 USD (5.0 GPU-hours less); "
        "3 people would have waited longer (at most 20 min 0 s), 1 person would have been turned away, "
        "2 people would have been stopped."
    )


def test_what_is_not_known_is_said_on_standard_error(reporting: Terminal) -> None:
    report = reporting.plane.project.replayed
    report["truncated"] = True
    report["proposed"] = {**FIGURES, **PROPOSED, "unpricedSessions": 2}

    said = reporting.run("project", "replay").stderr.decode().splitlines()

    assert "what was asked before 2026-10-22T22:00:00Z is not in it" in said[0]
    assert said[1].startswith("devboxgpu: 4 of the proposed settings' sessions may have been quiet")
    assert "2 sessions have no known price" in said[2]
    assert "alice@demo would have waited 25 min 0 s longer in all (4 sessions)" in said[3]


def test_no_price_at_all_is_unknown_and_no_difference_is_none(reporting: Terminal) -> None:
    bare = {**FIGURES, "cost": {"amount": "0", "currency": "USD"}, "unpricedSessions": 40}
    nothing = {
        "saved": {"amount": "0", "currency": "USD"},
        "notCompared": 40,
        "gpuSecondsSaved": 3600,
        "usersWaitingLonger": 0,
        "usersTurnedAway": 0,
        "usersStopped": 0,
        "mostDelayed": [],
    }
    reporting.plane.project.replayed = {
        **REPORT,
        "really": bare,
        "present": bare,
        "proposed": bare,
        "difference": nothing,
    }

    lines = reporting.run("project", "replay").stdout.decode().splitlines()

    assert any(line.split() == ["cost", "unknown", "unknown", "unknown"] for line in lines)
    assert lines[-1].startswith("Against the present settings, these would have saved an amount that is unknown")
    reporting.plane.project.replayed = {**REPORT, "difference": {**nothing, "notCompared": 0, "gpuSecondsSaved": 0}}
    last = reporting.run("project", "replay").stdout.decode().splitlines()[-1]
    assert last == "Against the present settings, these would have cost the same; nobody would have waited longer."


def test_programs_get_the_report_as_it_came(reporting: Terminal) -> None:
    done = reporting.run("project", "replay", "-o", "json")

    assert json.loads(done.stdout) == REPORT
    picked = reporting.run("project", "replay", "--query", "difference.saved.amount", "-o", "tsv")
    assert (picked.stdout, picked.stderr) == (b"8.510000\n", b"")


def test_a_replay_that_is_refused_says_every_reason(reporting: Terminal) -> None:
    done = reporting.run("project", "replay", "--per-user", "600")

    assert done.returncode == 1
    assert b"maxConcurrentSessionsPerUser" in done.stderr


@pytest.mark.parametrize("days", ["0", "91", "many"])
def test_days_out_of_bounds_are_a_mistake_in_the_words(reporting: Terminal, days: str) -> None:
    assert reporting.run("project", "replay", "--days", days).returncode == 2
    assert reporting.plane.made("POST", "/replay") == []


def test_who_is_no_administrator_is_told(reporting: Terminal) -> None:
    reporting.plane.project.role = "member"
    done = reporting.run("project", "replay")
    assert (done.stdout, done.returncode) == (b"", 1)
    assert b"Forbidden" in done.stderr
