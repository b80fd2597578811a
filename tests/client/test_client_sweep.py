"""`devboxgpu project sweep`: what is found, what is not known, and what is only looked at."""

from __future__ import annotations

import json

import pytest
from conftest import Terminal

ORPHAN = {
    "what": "OrphanApp",
    "subject": "containerApps/dbg-x",
    "detail": "an app of this control plane without a session",
    "repaired": False,
}
REPORT: dict[str, object] = {
    "project": "demo",
    "startedAt": "2026-11-21T22:00:00Z",
    "apps": 3,
    "sessions": 2,
    "found": [ORPHAN],
    "unknown": [],
}


@pytest.fixture
def sweeping(terminal: Terminal) -> Terminal:
    terminal.plane.project.swept = dict(REPORT)
    return terminal


def test_what_is_found_is_a_table_with_what_is_repaired(sweeping: Terminal) -> None:
    done = sweeping.run("project", "sweep")

    assert (done.returncode, done.stderr) == (0, b"")
    assert [line.split()[:3] for line in done.stdout.decode().splitlines()] == [
        ["WHAT", "ON", "REPAIRED"],
        ["OrphanApp", "containerApps/dbg-x", "not"],
    ]
    (call,) = sweeping.plane.made("POST", "/sweep")
    assert "dryRun" not in call.query


def test_a_dry_run_asks_for_one(sweeping: Terminal) -> None:
    done = sweeping.run("project", "sweep", "demo", "--dry-run", "-o", "json")

    assert json.loads(done.stdout)["dryRun"] is True


def test_where_nothing_is_wrong_it_says_what_was_seen(sweeping: Terminal) -> None:
    sweeping.plane.project.swept = {**REPORT, "found": []}

    done = sweeping.run("project", "sweep")

    assert (done.returncode, done.stdout) == (0, b"")
    assert "2 sessions and 3 apps seen, nothing is wrong" in done.stderr.decode()


def test_what_could_not_be_asked_is_no_clean_bill(sweeping: Terminal) -> None:
    sweeping.plane.project.swept = {**REPORT, "found": [], "unknown": ["Azure's list of apps: 503"]}

    done = sweeping.run("project", "sweep")

    assert done.returncode == 1
    assert "nothing is wrong" not in done.stderr.decode()
    assert "not known: Azure's list of apps: 503" in done.stderr.decode()
