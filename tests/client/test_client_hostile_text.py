"""Text that somebody else chose steers nobody's terminal, whatever verb shows it and in whatever form."""

from __future__ import annotations

import json

import pytest
from conftest import Terminal

ESCAPES = "x\x1b]0;owned\x07\x1b[2J\x9b2J\r\n\x7f\u202eevil\u2066\u200b\u2028\x00y"
SESSION = {
    "id": "s-1",
    "project": "demo",
    "user": "a-1",
    "userName": ESCAPES,
    "state": "Running",
    "gpuType": "T4",
    "region": ESCAPES,
    "sessionName": ESCAPES,
    "labels": {ESCAPES: ESCAPES},
    "createdAt": "2026-11-21T22:00:00Z",
    "cost": {"amount": "1", "currency": ESCAPES, "estimated": True},
    "stopsAt": "2026-11-21T23:00:00Z",
    "stopReason": ESCAPES,
}
EXPLAINED = {
    "session": ESCAPES,
    "state": ESCAPES,
    "summary": ESCAPES,
    "reasons": [{"code": ESCAPES, "message": ESCAPES}],
    "tries": [{"region": ESCAPES, "gpuType": ESCAPES, "code": ESCAPES, "message": ESCAPES}],
    "deadlines": [{"at": "2026-11-21T23:00:00Z", "reason": ESCAPES}],
    "changes": [{"message": ESCAPES, "action": ESCAPES}],
}
LINE = {
    "start": "2026-11-01", "user": "a-1", "userName": ESCAPES, "gpuType": ESCAPES, "region": ESCAPES, "label": ESCAPES,
    "session": ESCAPES, "seconds": 60, "estimated": True, "sessions": 1, "cost": "1",
}  # fmt: skip
ENTRY = {
    "id": ESCAPES, "time": ESCAPES, "type": ESCAPES, "actor": ESCAPES, "subject": ESCAPES, "source": ESCAPES,
    "data": {"note": ESCAPES, ESCAPES: ESCAPES},
}  # fmt: skip
OFFER = {"gpuType": ESCAPES, "regions": [{"name": ESCAPES, "price": {"amountPerHour": "1", "currency": ESCAPES}}]}
VERBS = (
    ["sessions", "list"],
    ["sessions", "show", "s-1"],
    ["sessions", "why", "s-1"],
    ["gpus"],
    ["project", "usage", "--chart", "--group-by", "label:team,user,region"],
    ["project", "activity"],
)


@pytest.fixture
def hostile(terminal: Terminal) -> Terminal:
    terminal.plane.sessions = [dict(SESSION)]
    terminal.plane.explanations = {"s-1": EXPLAINED}
    terminal.plane.offers = [OFFER]
    terminal.plane.usage.lines = [LINE]
    terminal.plane.usage.activity = [ENTRY]
    return terminal


@pytest.mark.parametrize("output", ["table", "json", "tsv"])
@pytest.mark.parametrize("verb", VERBS, ids=" ".join)
def test_what_is_shown_of_others_holds_no_escapes(hostile: Terminal, verb, output) -> None:
    done = hostile.run(*verb, "-o", output)

    shown = done.stdout.decode() + done.stderr.decode()
    assert "evil" in shown, "the text itself is shown"
    assert [sign for sign in shown if not sign.isprintable() and sign not in "\n\t"] == []


def test_json_reads_back_as_it_was_sent(hostile: Terminal) -> None:
    (read,) = json.loads(hostile.run("sessions", "list", "-o", "json").stdout)

    assert read["labels"] == {ESCAPES: ESCAPES}


def test_a_refusal_that_repeats_hostile_text_is_shown_without_its_escapes(terminal: Terminal) -> None:
    done = terminal.ask("sessions", "show", "x\x1b[2J\u202e")

    assert done.returncode == 3
    assert [sign for sign in done.stderr.decode() if not sign.isprintable() and sign != "\n"] == []
