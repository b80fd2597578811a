"""run --detach, attach, sessions logs and ~d, with a real keeper process, a real agent and a control plane in one."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pexpect
import pytest
from conftest import Terminal
from fake_control_plane import FakeControlPlane

Eventually = Callable[[Callable[[], object]], None]


@pytest.fixture(autouse=True)
def quick(plane: FakeControlPlane) -> None:
    plane.phases = []
    plane.renew_after_s = 0.3


@pytest.fixture
def kept(terminal: Terminal) -> Iterator[Callable[[], dict[str, Any]]]:
    """The one record; its keeper is ended with the test."""
    folder = terminal.cwd / ".local" / "state" / "devboxgpu" / "detached"

    def record() -> dict[str, Any]:
        (file,) = folder.glob("*.json")
        return dict(json.loads(file.read_text()))

    yield record
    for file in folder.glob("*.json"):
        if pid := json.loads(file.read_text())["keeper_pid"]:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue


def until_file(terminal: Terminal, name: str, eventually: Eventually) -> Path:
    file = terminal.plane.exec.home / name
    eventually(file.exists)
    return file


def waits_for(name: str) -> str:
    return f"while [ ! -e {name} ]; do sleep 0.05; done"


def begin(terminal: Terminal, script: str, data: bytes = b"") -> str:
    done = terminal.run("run", "--detach", "--", "sh", "-c", script, data=data)
    assert done.returncode == 0, done.stderr.decode()
    return done.stderr.decode()


def test_a_detached_run_goes_on_and_its_end_is_told_afterwards(
    terminal: Terminal, kept: Callable[[], dict[str, Any]], eventually: Eventually
) -> None:
    done = terminal.run(
        "run", "--detach", "--", "sh", "-c", f"cat; echo wrong >&2; touch on; {waits_for('go')}; exit 3", data=b"in\n"
    )

    assert (done.returncode, done.stdout) == (0, b"s-fake\n"), done.stderr
    said = done.stderr.decode()
    for line in ("devboxgpu attach s-fake", "sessions logs s-fake", "sessions stop s-fake", "1.56 USD/h"):
        assert line in said
    until_file(terminal, "on", eventually)
    assert terminal.plane.made("DELETE", kept()["shell"]) == []
    live = terminal.run("sessions", "logs", "s-fake")
    assert (live.stdout, live.stderr, live.returncode) == (b"in\n", b"wrong\n", 0)

    (terminal.plane.exec.home / "go").touch()
    eventually(lambda: kept()["ended_at"])

    assert len(terminal.plane.made("DELETE", kept()["shell"])) == 1
    back = terminal.run("attach")
    assert (back.returncode, back.stdout) == (3, b"in\n")
    assert "wrong\n" in back.stderr.decode()
    assert "0.41 USD · its program ended · exit 3" in back.stderr.decode()
    assert terminal.run("sessions", "logs", "s-fake", "--tail", "1").stdout == b""
    assert terminal.run("sessions", "logs", "s-fake", "--tail", "2").stdout == b"in\n"


def test_the_keeper_runs_the_save_hook_before_it_closes_the_shell(
    terminal: Terminal, kept: Callable[[], dict[str, Any]], eventually: Eventually
) -> None:
    hook = terminal.plane.exec.home / ".devboxgpu" / "on-stop"
    hook.parent.mkdir()
    hook.write_text("#!/bin/sh\ncp result saved\n")
    hook.chmod(0o755)

    begin(terminal, "echo 7 > result")
    eventually(lambda: kept()["ended_at"])

    assert (terminal.plane.exec.home / "saved").read_text() == "7\n"
    assert kept()["exit_code"] == 0


def test_attaching_shows_all_output_and_gives_the_exit_code(
    terminal: Terminal, kept: Callable[[], dict[str, Any]], eventually: Eventually
) -> None:
    begin(terminal, f"echo before; touch on; {waits_for('go')}; echo after; exit 5")
    until_file(terminal, "on", eventually)
    first, second = (terminal.spawn("attach", "s-fake") for _ in range(2))
    for screen in (first, second):
        screen.expect_exact("before")
    first.sendline("~d")
    first.expect_exact("goes on in session s-fake")
    first.expect(pexpect.EOF)
    first.close()
    assert first.exitstatus == 0

    (terminal.plane.exec.home / "go").touch()

    second.expect_exact("after")
    second.expect_exact("exit 5")
    second.expect(pexpect.EOF)
    second.close()
    assert second.exitstatus == 5


def test_ctrl_c_of_who_is_attached_interrupts_the_program(
    terminal: Terminal, kept: Callable[[], dict[str, Any]]
) -> None:
    begin(terminal, f"trap 'exit 9' INT; echo ready; {waits_for('never')}")
    screen = terminal.spawn("attach")
    screen.expect_exact("ready")

    screen.sendintr()

    screen.expect_exact("exit 9")
    screen.expect(pexpect.EOF)
    screen.close()
    assert screen.exitstatus == 9


def test_a_program_on_a_terminal_is_left_and_come_back_to(
    terminal: Terminal, kept: Callable[[], dict[str, Any]], eventually: Eventually
) -> None:
    screen = terminal.spawn("shell")
    screen.expect_exact("remote> ")
    screen.sendline("cat=42")
    screen.expect_exact("remote> ")
    screen.send("~d")
    screen.expect_exact("detached: the shell goes on in session s-fake")
    screen.expect(pexpect.EOF)
    screen.close()
    assert screen.exitstatus == 0
    assert terminal.plane.made("DELETE", kept()["shell"]) == []

    again = terminal.spawn("attach")
    again.expect_exact("attached to session s-fake")
    again.sendline("echo is-$cat")
    again.expect_exact("is-42")
    again.kill(signal.SIGHUP)
    again.expect(pexpect.EOF)
    again.close()
    assert terminal.plane.made("DELETE", kept()["shell"]) == []

    third = terminal.spawn("attach")
    third.expect_exact("is-42")  # what was printed before is shown again
    third.sendline("exit 4")
    third.expect_exact("exit 4")
    third.expect(pexpect.EOF)
    third.close()
    assert third.exitstatus == 4
    eventually(lambda: terminal.plane.made("DELETE", kept()["shell"]))


def test_attaching_starts_a_keeper_where_there_is_none(
    terminal: Terminal, kept: Callable[[], dict[str, Any]], eventually: Eventually
) -> None:
    begin(terminal, f"echo before; touch on; {waits_for('go')}; exit 6")
    until_file(terminal, "on", eventually)
    killed = kept()["keeper_pid"]
    os.kill(killed, signal.SIGKILL)

    screen = terminal.spawn("attach")
    screen.expect_exact("before")
    screen.close(force=True)

    assert kept()["keeper_pid"] != killed
    (terminal.plane.exec.home / "go").touch()
    eventually(lambda: kept()["ended_at"])
    assert terminal.run("attach").returncode == 6
    assert terminal.run("attach").stdout == b"before\n"


def test_a_session_that_is_stopped_by_others_is_told_with_the_reason(
    terminal: Terminal, kept: Callable[[], dict[str, Any]], eventually: Eventually
) -> None:
    begin(terminal, f"echo some; touch on; {waits_for('never')}")
    until_file(terminal, "on", eventually)
    eventually(lambda: terminal.run("sessions", "logs", "s-fake").stdout == b"some\n")

    terminal.plane.end_session("BudgetExhausted")
    eventually(lambda: kept()["ended_at"])

    back = terminal.run("attach", "s-fake")
    assert (back.returncode, back.stdout) == (125, b"some\n")
    assert "the project's budget is used up · exit code unknown" in back.stderr.decode()


def test_stopping_while_attached_ends_the_session(
    terminal: Terminal, kept: Callable[[], dict[str, Any]], eventually: Eventually
) -> None:
    begin(terminal, f"echo ready; {waits_for('never')}")
    screen = terminal.spawn("attach")
    screen.expect_exact("ready")
    screen.sendline("~.")
    screen.expect(pexpect.EOF)
    screen.close()

    assert screen.exitstatus == 125
    assert terminal.plane.made("DELETE", kept()["shell"])
    eventually(lambda: kept()["ended_at"])


def test_where_the_project_keeps_nothing_without_a_client_nothing_is_opened(terminal: Terminal) -> None:
    terminal.plane.project.settings["idle"] = {"graceMinutes": 0}

    done = terminal.run("run", "--detach", "--", "true")

    assert done.returncode == 125
    assert "idle.graceMinutes is 0" in done.stderr.decode()
    assert not [call for call in terminal.plane.calls if call.method == "PUT"]


def test_a_shell_that_may_not_be_left_goes_on_attached(terminal: Terminal) -> None:
    terminal.plane.project.settings["idle"] = {"graceMinutes": 0}
    screen = terminal.spawn("shell")
    screen.expect_exact("remote> ")
    screen.send("~d")
    screen.expect_exact("idle.graceMinutes is 0")
    screen.sendline("exit 2")
    screen.expect(pexpect.EOF)
    screen.close()
    assert screen.exitstatus == 2


def test_a_command_that_cannot_start_is_not_left_behind(terminal: Terminal) -> None:
    done = terminal.run("run", "--detach", "--", "no-such-program")

    assert (done.returncode, done.stdout) == (127, b"")
    assert "no-such-program" in done.stderr.decode()
    assert terminal.plane.closed


def test_without_a_keeper_the_shell_is_closed_and_the_failure_told(terminal: Terminal) -> None:
    (terminal.cwd / ".local").mkdir()
    (terminal.cwd / ".local" / "state").write_text("in the way")

    done = terminal.run("run", "--detach", "--", "sleep", "60")

    assert (done.returncode, done.stdout) == (125, b"")
    assert "cannot be noted" in done.stderr.decode()
    assert terminal.plane.closed


def test_with_nothing_to_come_back_to_the_codes_say_so(terminal: Terminal) -> None:
    nothing = terminal.run("attach")
    unknown = terminal.run("sessions", "logs", "s-unknown")

    assert nothing.returncode == 125
    assert "nothing was detached from this machine" in nothing.stderr.decode()
    assert unknown.returncode == 3
    assert terminal.run("run", "--detach", "--sync", ".", "--", "true").returncode == 125
