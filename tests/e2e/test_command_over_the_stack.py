"""The command against the real control plane, engine, exec and storage, as a person uses it."""

from __future__ import annotations

import signal

import pytest

from tests.e2e.command_line import CommandLine, exit_code, says
from tests.e2e.waiting import pause, until


@pytest.fixture
def line(stack, dev, tmp_path):
    return CommandLine(stack, dev, tmp_path)


def only_session(line, state):
    """Wait until the person has one session in this state, and return it."""
    return until(lambda: line.person.sessions(state=state), f"a session to be {state}")[0]


def test_a_person_opens_a_shell_works_on_a_gpu_and_leaves_with_the_remotes_exit_code(line):
    screen = line.shell()
    says(screen, 41)
    screen.sendline("nvidia-smi -L")
    screen.expect("GPU 0: ")
    session = only_session(line, "Running")["id"]
    screen.sendline("exit 5")
    screen.expect(rf"session {session} ended · .* · T4 · est\. 0\.\d+ USD · exit 5")

    assert exit_code(screen) == 5
    assert only_session(line, "Ended")["endReason"] == "ShellsClosed"


def test_a_script_is_piped_through_the_local_clouds_shell_verb(line):
    done = line.localcloud("shell", "--user", line.person.name, data="hostname; nvidia-smi -L; exit 3\n")

    assert done.returncode == 3, done.stderr
    assert "GPU 0: " in done.stdout


def test_run_passes_input_output_and_the_exit_code_through(line):
    words = "".join(f"line {number}\n" for number in range(2000))
    done = line.run("run", "--", "sh", "-c", 'cat; printf "%s" "$1"; exit 4', "sh", "two  words", data=words)

    assert done.returncode == 4, done.stderr
    assert done.stdout.replace("\r\n", "\n") == words + "two  words"
    assert line.run("run", "--", "no-such-program").returncode == 127


def test_sessions_are_listed_shown_and_stopped(line):
    assert line.data("sessions", "list") == []
    shell = line.person.opened()

    (listed,) = line.data("sessions", "list", "--state", "Running")
    assert listed["id"] == shell.session
    assert line.data("sessions", "show", shell.session)["app"] == shell.app
    stopped = line.run("sessions", "stop", shell.session, "--reason", "lunch")
    assert stopped.returncode == 0, stopped.stderr

    shell.ended("StoppedByUser")
    assert line.data("sessions", "show", shell.session)["stopNote"] == "lunch"
    assert line.run("sessions", "show", "a" * 26).returncode == 3


def test_offers_and_the_person_are_shown(line):
    (offer,) = line.data("gpus")
    assert offer["gpuType"] == "T4"
    assert offer["freeForYou"] > 0
    assert {region["name"] for region in offer["regions"]} == {"westus3", "swedencentral", "australiaeast"}
    assert line.data("whoami")["user"] == f"{line.person.name}@demo.example"
    assert "T4" in line.run("gpus").stdout


def test_a_session_stopped_under_an_open_shell_ends_the_command_with_125_and_why(line):
    screen = line.shell()
    session = only_session(line, "Running")["id"]

    line.stack.person("carol").persistently("POST", f"sessions/{session}/stop", {"reason": "over budget"})

    screen.expect_exact("an administrator stopped it")
    assert exit_code(screen) == 125
    assert only_session(line, "Ended")["endReason"] == "StoppedByAdministrator"


def test_a_refusal_ends_the_command_with_125_and_the_code(line):
    line.stack.settings({"maxConcurrentSessionsPerUser": 1})
    held = line.person.opened()

    done = line.run("run", "--", "true")

    assert done.returncode == 125
    assert "UserGpuLimitReached" in done.stderr
    held.close()


def test_a_killed_command_loses_its_gpu_when_its_lease_has_lapsed(line):
    line.stack.settings({"idle": {"timeoutMinutes": 30, "graceMinutes": 0.05}})
    screen = line.shell()
    only_session(line, "Running")

    screen.kill(signal.SIGKILL)

    screen.close()
    assert only_session(line, "Ended")["endReason"] == "LeaseLapsed"


@pytest.mark.parametrize("crash", [True, False])
def test_an_open_shell_outlives_the_hosts_end_and_return(line, crash):
    screen = line.shell()
    says(screen, 1)
    (line.stack.kill if crash else line.stack.stop)("host")
    says(screen, 2)

    line.stack.up()

    until(lambda: _renewed(line), "a renewal after the host came back")
    says(screen, 3)
    screen.sendline("exit 0")
    assert exit_code(screen) == 0
    assert only_session(line, "Ended")["endReason"] == "ShellsClosed"


def _renewed(line) -> bool:
    """Tell whether the shell's lease has been put off since the last look."""
    before = line.person.sessions(state="Running")[0]["shells"][0]["leaseExpiresAt"]
    pause(0.5)
    return bool(line.person.sessions(state="Running")[0]["shells"][0]["leaseExpiresAt"] > before)
