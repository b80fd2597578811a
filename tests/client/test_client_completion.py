"""What a shell completes: the table of verbs, what the control plane knows, and silence where it does not answer."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import click
import pytest
from conftest import Terminal

from devboxgpu.commands import completing

SESSIONS: list[dict[str, object]] = [
    {"id": "s-1", "state": "Running", "gpuType": "T4"},
    {"id": "s-2", "state": "Waiting", "gpuType": "A100"},
    {"id": "$(touch pwned) *", "state": "Running"},
]


def completed(terminal: Terminal, line: str, *, patience_s: float = 60.0, **environment: str) -> list[str]:
    """The words that fish is given for the end of the line, however busy this machine is."""
    program = (
        f"import devboxgpu.commands.completing as c; c.PATIENCE_S = {patience_s}; "
        "from devboxgpu.main import main; main()"
    )
    asked = {
        "_DEVBOXGPU_COMPLETE": "fish_complete",
        "COMP_WORDS": f"devboxgpu {line}",
        "COMP_CWORD": line.rpartition(" ")[2],
    }
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        env={**terminal.environment, **asked, **environment},
        cwd=terminal.cwd,
        timeout=120,
        check=False,
    )
    assert done.stderr == b""
    return [line.partition("\t")[0].removeprefix("plain,") for line in done.stdout.decode().splitlines() if line]


def test_verbs_are_completed_from_the_table(terminal: Terminal) -> None:
    assert completed(terminal, "s") == ["shell", "sessions"]
    assert completed(terminal, "sessions st") == ["stop"]
    assert "--region" in completed(terminal, "shell --re")


def test_sessions_gpu_types_and_projects_are_asked_for(terminal: Terminal) -> None:
    terminal.plane.sessions = SESSIONS
    terminal.plane.offers = [{"gpuType": "T4", "freeNow": 2}, {"gpuType": "A100"}]

    assert completed(terminal, "sessions stop s") == ["s-1", "s-2"]
    assert completed(terminal, "shell --session s-2") == ["s-2"]
    assert completed(terminal, "shell --gpu a") == ["A100"]
    assert completed(terminal, "gpus --project d") == ["demo"]


def test_what_a_shell_would_read_as_more_than_a_word_is_never_offered(terminal: Terminal) -> None:
    terminal.plane.sessions = SESSIONS

    assert completed(terminal, "sessions stop ") == ["s-1", "s-2"]


def test_keys_and_their_values_are_completed(terminal: Terminal) -> None:
    assert completed(terminal, "config set o") == ["output"]
    assert completed(terminal, "config set output j") == ["json"]
    assert completed(terminal, "config get sign") == ["sign_in"]
    assert completed(terminal, "config set sign_in dev") == ["device-code"]


@pytest.mark.parametrize(
    "environment",
    [
        {"DEVBOXGPU_ENDPOINT": "http://127.0.0.1:1"},
        {"DEVBOXGPU_ACCESS_TOKEN": "wrong"},
        {"DEVBOXGPU_OUTPUT": "nonsense"},
    ],
    ids=["unreachable", "refused", "configured wrongly"],
)
def test_where_nothing_can_be_known_nothing_is_said(terminal: Terminal, environment: dict[str, str]) -> None:
    assert completed(terminal, "sessions stop s", patience_s=0.5, **environment) == []
    assert "--output" in completed(terminal, "gpus --o", **environment)


def test_an_answer_that_does_not_come_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(completing, "PATIENCE_S", 0.0)
    never = threading.Event()
    monkeypatch.setattr("devboxgpu.configuration.load", lambda **_: never.wait())

    with click.Context(click.Command("stop")) as ctx:
        assert completing.complete_session(ctx, click.Argument(["session"]), "") == []
    never.set()


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish", "powershell"])
def test_each_shell_has_its_script(terminal: Terminal, shell: str) -> None:
    done = terminal.run("completion", shell)

    assert (done.returncode, done.stderr) == (0, b"")
    assert f"{shell}_complete" in done.stdout.decode()
    assert b"_DEVBOXGPU_COMPLETE" in done.stdout


def test_bash_takes_the_script_and_completes_with_it(terminal: Terminal, tmp_path: Path) -> None:
    folder = tmp_path / "bin"
    folder.mkdir()
    program = folder / "devboxgpu"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m devboxgpu "$@"\n')
    program.chmod(0o755)
    script = terminal.run("completion", "bash").stdout.decode()
    asking = "COMP_WORDS=(devboxgpu sess); COMP_CWORD=1; _devboxgpu_completion devboxgpu; echo ${COMPREPLY[@]}"

    done = subprocess.run(
        ["bash", "-c", f"{script}\n{asking}"],
        capture_output=True,
        env={**terminal.environment, "PATH": f"{folder}:{terminal.environment['PATH']}"},
        timeout=60,
        check=True,
    )

    assert (done.stdout, done.stderr) == (b"sessions\n", b"")
