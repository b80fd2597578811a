"""`--dry-run`: what would be decided is said, nothing is opened, and the exit codes are those of ordinary verbs."""

from __future__ import annotations

import json

import pytest
from conftest import Terminal

from devboxgpu.commands.forecast import GOOD_VERDICTS, sentence
from devboxgpu.wire_opening import Decision


def test_a_gpu_that_is_free_is_said_with_price_and_time(terminal: Terminal) -> None:
    done = terminal.ask("shell", "--dry-run")

    assert done.stdout.decode() == ("would start at once: T4 in westus3 · est. 1.56 USD/h · ready in about 40 s\n")
    assert (done.returncode, done.stderr) == (0, b"")
    assert terminal.plane.shell is None


def test_a_wait_is_said_with_its_place_and_estimate(terminal: Terminal) -> None:
    terminal.plane.all_gpus_in_use = True
    terminal.plane.line = [{"queuePosition": 3, "expectedWaitSeconds": 240}]

    done = terminal.ask("shell", "--dry-run", "--wait", "--gpu", "A100")

    assert done.stdout.decode() == (
        "would wait as 3rd in line: A100 in westus3 · est. 1.56 USD/h · wait about 4 min · "
        "ProjectGpuCapReached: 4 of 4 GPUs of demo are in use\n"
    )
    assert done.returncode == 0


def test_a_wait_of_unknown_length_is_said_so(terminal: Terminal) -> None:
    terminal.plane.all_gpus_in_use = True

    assert "would wait as 1st in line" in terminal.ask("shell", "--dry-run", "--wait").stdout.decode()
    assert "wait unknown" in terminal.ask("shell", "--dry-run", "--wait").stdout.decode()


def test_a_refusal_is_an_answer_with_an_exit_code(terminal: Terminal) -> None:
    terminal.plane.all_gpus_in_use = True

    done = terminal.ask("run", "--dry-run", "true")

    assert done.stdout.startswith(b"would be refused: T4 in westus3")
    assert b"ProjectGpuCapReached: 4 of 4 GPUs of demo are in use" in done.stdout
    assert done.returncode == 1


def test_a_session_that_would_be_joined_is_named(terminal: Terminal) -> None:
    done = terminal.ask("shell", "--dry-run", "--session", "s-9")

    assert done.stdout.startswith(b"would join session s-9: T4 in westus3")
    assert done.returncode == 0


@pytest.mark.parametrize(("wait", "code"), [("--wait", 0), ("--no-wait", 1)])
def test_programs_get_the_decision_as_it_came(terminal: Terminal, wait: str, code: int) -> None:
    terminal.plane.all_gpus_in_use = True

    done = terminal.ask("shell", "--dry-run", wait, "-o", "json")

    decision = json.loads(done.stdout)
    assert decision["decision"] == ("wait" if code == 0 else "refuse")
    assert decision["price"] == {"amountPerHour": "1.5588", "currency": "USD"}
    assert done.returncode == code


def test_a_decision_of_the_future_is_not_taken_for_a_good_one() -> None:
    assert sentence(Decision.read({"decision": "perhaps"})) == (
        "'perhaps' is a decision that this devboxgpu does not know, update it"
    )
    assert "perhaps" not in GOOD_VERDICTS


def test_a_part_of_the_decision_can_be_picked(terminal: Terminal) -> None:
    done = terminal.ask("shell", "--dry-run", "--query", "[decision, region]", "-o", "tsv")

    assert done.stdout == b"admit\nwestus3\n"


def test_what_is_refused_at_once_is_an_error_as_without_a_dry_run(terminal: Terminal) -> None:
    terminal.plane.refuse_open = (403, "GpuTypeNotAllowed", "project demo allows T4 only")

    done = terminal.ask("shell", "--dry-run", "--gpu", "A100")

    assert (done.stdout, done.returncode) == (b"", 1)
    assert b"GpuTypeNotAllowed" in done.stderr


def test_a_project_that_is_not_there_is_not_found(terminal: Terminal) -> None:
    assert terminal.ask("shell", "--dry-run", "--project", "nobodys").returncode == 3


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["shell", "--dry-run", "--no-such-flag"], 2),
        (["run", "--dry-run"], 2),
        (["shell", "--dry-run", "--wait-timeout", "x"], 2),
        (["shell", "--dry-run", "--query", "[["], 2),
        (["run", "--no-such-flag", "--", "program", "--dry-run"], 125),
    ],
)
def test_wrong_words_of_a_dry_run_have_the_code_of_ordinary_verbs(
    terminal: Terminal, arguments: list[str], code: int
) -> None:
    assert terminal.ask(*arguments).returncode == code


def test_a_dry_run_flag_behind_the_command_belongs_to_the_command(terminal: Terminal) -> None:
    done = terminal.run("run", "echo", "--dry-run")

    assert (done.stdout, done.returncode) == (b"--dry-run\n", 0)
