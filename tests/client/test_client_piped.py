"""`run`, and `shell` fed from a pipe: what goes in and comes out, byte for byte, against a real pseudo-terminal."""

from __future__ import annotations

import hashlib
import os
import signal
from collections.abc import Callable
from functools import partial

import pytest
from conftest import Terminal

Eventually = Callable[[Callable[[], object]], None]


@pytest.mark.parametrize("kind", ["dash", "bash"])
def test_a_script_from_a_pipe_runs_and_its_output_is_clean(terminal: Terminal, kind: str) -> None:
    terminal.plane.exec.use_as_sh(kind)

    done = terminal.run("shell", data=b"echo hello; echo problem >&2; exit 3\n")

    assert (done.stdout, done.returncode) == (b"hello\n", 3)
    assert b"\nproblem\n" in done.stderr
    assert terminal.plane.closed


def test_twenty_mebibytes_of_random_bytes_come_back_unchanged(terminal: Terminal) -> None:
    data = os.urandom(20 << 20)

    done = terminal.run("run", "--", "cat", data=data)

    assert hashlib.sha256(done.stdout).hexdigest() == hashlib.sha256(data).hexdigest()
    assert done.returncode == 0
    assert terminal.plane.exec.largest_frame == 32 * 1024


def test_a_service_that_takes_only_text_frames_gets_them_and_nothing_is_lost(terminal: Terminal) -> None:
    terminal.plane.exec.largest_binary = 0
    data = os.urandom(1 << 20)

    done = terminal.run("run", "--", "cat", data=data)

    assert (done.stdout == data, done.returncode) == (True, 0)
    assert len(terminal.plane.exec.binary_frames) == 1, "only the ladder may have been tried"


def test_output_that_arrives_in_pieces_of_characters_is_put_together(terminal: Terminal) -> None:
    terminal.plane.exec.read_size = 7
    text = "héllo 🚀 " * 50

    assert terminal.run("run", "--", "cat", data=text.encode()).stdout.decode() == text


def test_arguments_arrive_exactly_as_given(terminal: Terminal) -> None:
    arguments = ["a  b", "*", "it's", '"', "é🚀", "$HOME", "", "-x", "--", "new\nline", "\\", "a=b", "~"]

    done = terminal.run("run", "--", "printf", "<%s>\\n", *arguments)

    assert done.stdout.decode() == "".join(f"<{argument}>\n" for argument in arguments)


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (["sh", "-c", "exit 42"], 42),
        (["sh", "-c", "kill -9 $$"], 137),
        (["no-such-program"], 127),
        (["/etc/passwd"], 126),
        (["exit", "5"], 127),
        (["true"], 0),
    ],
)
def test_the_exit_code_is_the_commands(terminal: Terminal, command: list[str], code: int) -> None:
    assert terminal.run("run", "--", *command).returncode == code


def test_a_command_that_does_not_read_all_of_its_input_ends_when_it_ends(terminal: Terminal) -> None:
    done = terminal.run("run", "head", "-c", "5", data=b"12345" + os.urandom(1 << 20))

    assert (done.stdout, done.returncode) == (b"12345", 0)


def test_the_program_sees_no_terminal_where_our_output_is_none(terminal: Terminal) -> None:
    done = terminal.run("run", "--", "sh", "-c", "test -t 0; echo $?; test -t 1; echo $?; test -t 2; echo $?")

    assert done.stdout == b"1\n1\n1\n"


def test_input_is_passed_on_as_it_comes_and_not_at_its_end(terminal: Terminal) -> None:
    process = terminal.start("run", "--", "cat")
    assert process.stdin is not None
    assert process.stdout is not None

    for word in (b"one\n", b"two\n"):
        process.stdin.write(word)
        process.stdin.flush()
        assert process.stdout.readline() == word
    process.communicate(timeout=20)

    assert process.returncode == 0


def test_messages_without_a_terminal_are_plain_lines_on_standard_error(terminal: Terminal) -> None:
    done = terminal.run("run", "true")

    lines = done.stderr.decode().splitlines()
    assert all(line.startswith("devboxgpu: ") for line in lines)
    assert b"\x1b" not in done.stderr
    assert b"\r" not in done.stderr
    assert "devboxgpu: demo · T4 · westus3 · est. 1.56 USD/h" in lines
    assert any(line.startswith("devboxgpu: GPU assigned (") for line in lines)
    assert lines[-1] == "devboxgpu: session s-fake ended · 42 min 10 s · T4 · est. 0.41 USD · exit 0"


def test_the_request_holds_what_the_flags_say(terminal: Terminal) -> None:
    terminal.run("run", "--gpu", "A100", "--region", "swedencentral", "--name", "n", "--label", "team=ml", "--", "true")

    body = terminal.plane.made("PUT", "")[0].body
    assert body is not None
    assert body.pop("origin")
    assert body == {"gpuType": "A100", "region": "swedencentral", "sessionName": "n", "labels": {"team": "ml"}}


@pytest.mark.parametrize("kind", ["dash", "bash"])
def test_interrupt_reaches_the_remote_command(terminal: Terminal, kind: str) -> None:
    terminal.plane.exec.use_as_sh(kind)
    script = "trap 'echo caught; exit 9' INT; echo ready; while :; do sleep 0.05; done"
    process = terminal.start("run", "--", "sh", "-c", script)
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"

    process.send_signal(signal.SIGINT)

    output, _ = process.communicate(timeout=20)
    assert (output, process.returncode) == (b"caught\n", 9)


def test_a_command_that_ignores_interrupts_is_left_at_the_third(terminal: Terminal) -> None:
    script = "trap 'echo no' INT; echo ready; while :; do sleep 0.05; done"
    process = terminal.start("run", "--", "sh", "-c", script)
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"

    for _ in range(2):
        process.send_signal(signal.SIGINT)
        assert process.stdout.readline() == b"no\n"
    process.send_signal(signal.SIGINT)

    process.communicate(timeout=20)
    assert process.returncode == 130
    assert terminal.plane.closed


def test_when_nobody_reads_our_output_any_more_the_session_is_closed(terminal: Terminal) -> None:
    process = terminal.start("run", "--", "sh", "-c", "while :; do echo more; done")
    assert process.stdout is not None
    assert process.stdout.readline() == b"more\n"

    process.stdout.close()

    assert process.wait(timeout=20) == 141
    assert terminal.plane.closed


def attached_again(terminal: Terminal, times: int) -> bool:
    return bool(terminal.plane.exec.open) and len(terminal.plane.exec.commands) == times


SLOW_COUNT = "echo begun >> log; for i in $(seq 300); do echo $i; echo e$i >&2; sleep 0.003; done; exit 7"


def test_a_connection_that_drops_again_and_again_changes_nothing(terminal: Terminal, eventually: Eventually) -> None:
    process = terminal.start("run", "--", "sh", "-c", SLOW_COUNT)
    for drops in range(1, 5):
        eventually(partial(attached_again, terminal, drops))
        terminal.plane.exec.tokens.clear()  # the token that was good at first has expired
        terminal.plane.exec.drop()

    output, errors = process.communicate(timeout=40)

    assert output == b"".join(b"%d\n" % number for number in range(1, 301))
    assert [line for line in errors.split(b"\n") if line.startswith(b"e")] == [b"e%d" % n for n in range(1, 301)]
    assert process.returncode == 7
    assert (terminal.plane.exec.home / "log").read_text() == "begun\n"
    assert len(terminal.plane.made("PUT", "")) == 1


def test_input_sent_while_the_connection_drops_arrives_once(terminal: Terminal, eventually: Eventually) -> None:
    process = terminal.start("run", "--", "cat")
    assert process.stdin is not None
    data = os.urandom(100_000)
    for number in range(4):
        eventually(partial(attached_again, terminal, number + 1))
        process.stdin.write(data)
        process.stdin.flush()
        terminal.plane.exec.drop()

    output, _ = process.communicate(timeout=40)
    assert (output == data * 4, process.returncode) == (True, 0)


def test_an_agent_that_is_killed_ends_the_command_with_an_error(terminal: Terminal) -> None:
    process = terminal.start("run", "--", "sh", "-c", "echo begun >> log; echo started; exec sleep 20")
    assert process.stdout is not None
    assert process.stdout.readline() == b"started\n"

    terminal.plane.exec.kill_agents()

    _, errors = process.communicate(timeout=20)
    assert process.returncode == 125
    assert b"the agent in the container has ended" in errors
    assert (terminal.plane.exec.home / "log").read_text() == "begun\n"


def test_without_python_it_is_said_once_and_a_drop_never_ends_well(terminal: Terminal) -> None:
    terminal.plane.exec.use_no_python()
    process = terminal.start("run", "--", "sh", "-c", "echo problem >&2; echo started; sleep 60")
    assert process.stdout is not None
    assert process.stdout.readline() == b"problem\n"
    assert process.stdout.readline() == b"started\n"

    terminal.plane.exec.drop()

    _, errors = process.communicate(timeout=20)
    assert process.returncode == 125
    assert errors.count(b"no agent in this container (there is no python3): a dropped connection ends it") == 1
    assert b"connection to the session was lost" in errors
    assert len(terminal.plane.exec.commands) == 2, "the agent was tried for, and the command run once"
    assert terminal.plane.closed


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT])
def test_signals_go_to_the_remote_command(terminal: Terminal, number: signal.Signals) -> None:
    name = number.name.removeprefix("SIG")
    process = terminal.start("run", "--", "sh", "-c", f"trap 'echo got; exit 9' {name}; echo ready; sleep 20 & wait")
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"

    process.send_signal(number)

    output, _ = process.communicate(timeout=20)
    assert (output, process.returncode) == (b"got\n", 9)
    assert terminal.plane.closed


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGINT])
def test_a_signal_that_it_is_begun_to_ignore_stops_no_program(terminal: Terminal, number: signal.Signals) -> None:
    before = signal.signal(number, signal.SIG_IGN)  # as nohup does, and a shell for what runs in the background
    process = terminal.start("run", "--", "sh", "-c", "echo ready; read line; echo $line")
    signal.signal(number, before)
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"

    process.send_signal(number)

    output, _ = process.communicate(b"on it goes\n", timeout=20)
    assert (output, process.returncode) == (b"on it goes\n", 0)


def hook(terminal: Terminal, script: str) -> None:
    folder = terminal.plane.exec.home / ".devboxgpu"
    folder.mkdir()
    (folder / "on-stop").write_text(f"#!/bin/sh\n{script}\n")
    (folder / "on-stop").chmod(0o755)


def test_the_save_hook_runs_before_the_session_is_stopped(terminal: Terminal) -> None:
    hook(terminal, "echo saving; echo saved > work")

    done = terminal.run("run", "--", "sh", "-c", "exit 3")

    assert b"\nsaving\n" in done.stderr
    assert (done.stdout, done.returncode) == (b"", 3)
    assert (terminal.plane.exec.home / "work").read_text() == "saved\n"


def test_a_save_hook_that_fails_is_told_and_stops_nothing(terminal: Terminal) -> None:
    hook(terminal, "exit 4")

    done = terminal.run("run", "true")

    assert b"the save hook ~/.devboxgpu/on-stop failed with exit code 4" in done.stderr
    assert done.returncode == 0
    assert terminal.plane.closed


def test_the_save_hook_waits_for_the_last_shell_of_the_session(terminal: Terminal) -> None:
    hook(terminal, "echo saving")
    terminal.plane.other_shells = 1

    assert b"saving" not in terminal.run("run", "true").stderr


def test_a_session_that_is_stopped_is_saved_although_other_shells_are_open(terminal: Terminal) -> None:
    hook(terminal, "echo saving")
    terminal.plane.other_shells, terminal.plane.renew_after_s = 1, 0.1
    process = terminal.start("run", "--", "sh", "-c", "echo started; exec sleep 60")
    assert process.stdout is not None
    assert process.stdout.readline() == b"started\n"

    terminal.plane.end_session("StoppedByAdministrator")

    _, errors = process.communicate(timeout=20)
    assert b"\nsaving\n" in errors


def test_ctrl_c_goes_on_without_the_save_hook(terminal: Terminal, eventually: Eventually) -> None:
    hook(terminal, "touch begun; exec sleep 30")
    process = terminal.start("run", "true")
    eventually((terminal.plane.exec.home / "begun").exists)

    process.send_signal(signal.SIGINT)

    _, errors = process.communicate(timeout=20)
    assert process.returncode == 0
    assert b"is not waited for any longer" in errors
    assert terminal.plane.closed


def test_what_the_agent_sees_is_told_with_the_lease(terminal: Terminal, eventually: Eventually) -> None:
    terminal.plane.renew_after_s = 0.1
    process = terminal.start("run", "cat")

    eventually(lambda: any("busyProcesses" in (call.body or {}) for call in terminal.plane.made("POST", "/renewLease")))

    process.communicate(timeout=20)
    assert process.returncode == 0


def test_a_container_without_the_tools_says_what_is_missing(terminal: Terminal) -> None:
    tools = terminal.plane.exec.home / "bin"
    tools.mkdir()
    for name in ("sh", "head", "base64"):
        (tools / name).symlink_to(f"/usr/bin/{name}")
    terminal.plane.exec.path = str(tools)

    done = terminal.run("run", "true")

    assert done.returncode == 125
    assert b"must have sh, stty, head and base64" in done.stderr
    assert terminal.plane.closed
