"""Programs that are left to themselves, over the real control plane, engine, exec and storage."""

from __future__ import annotations

import json
import os
import signal
from datetime import UTC, datetime, timedelta

import pytest

from tests.e2e.command_line import CommandLine, exit_code
from tests.e2e.waiting import pause, until

WORKS = 'echo 90 > "$(dirname "$(command -v nvidia-smi)")/../gpu/utilization"; echo begun'
"""Makes the session's GPU look busy."""


class Detached:
    """What one person has left running."""

    def __init__(self, line):
        self.line = line

    def run(self, script):
        """Leave a script to itself and return its session."""
        done = self.line.run("run", "--detach", "--", "sh", "-c", script)
        assert done.returncode == 0, done.stderr
        self.session = done.stdout.strip()
        return self.session

    def record(self):
        (file,) = self.line.home.glob(".local/state/devboxgpu/detached/*.json")
        return json.loads(file.read_text())

    def signal(self, number):
        os.kill(self.record()["keeper_pid"], number)

    def printed(self, text):
        until(lambda: text in self.line.run("sessions", "logs", self.session).stdout, f"the program to print {text!r}")

    def lets_it_go_on(self):
        (self.line.home / "go").write_text("on")
        done = self.line.run("cp", str(self.line.home / "go"), f"{self.session}:~/go")
        assert done.returncode == 0, done.stderr

    def view(self):
        return self.line.person.reads(f"sessions/{self.session}")

    def ended(self, reason):
        view = until(lambda: (view := self.view())["state"] == "Ended" and view, f"{self.session} to end")
        assert view["endReason"] == reason


@pytest.fixture
def left(stack, dev, tmp_path):
    """Return what a person leaves running; whatever keeper is left over is ended with the test."""
    one = Detached(CommandLine(stack, dev, tmp_path))
    yield one
    for file in tmp_path.glob(".local/state/devboxgpu/detached/*.json"):
        try:
            os.kill(json.loads(file.read_text())["keeper_pid"], signal.SIGKILL)
        except ProcessLookupError:
            continue


def test_a_detached_run_ends_its_session_and_its_result_is_told_afterwards(left):
    left.run("echo result; echo warning >&2; exit 3")

    left.ended("ShellsClosed")
    until(lambda: left.record()["ended_at"], "the keeper to note the end")

    back = left.line.run("attach", left.session)
    assert (back.returncode, back.stdout) == (3, "result\n")
    assert "warning\n" in back.stderr
    assert "its program ended · exit 3" in back.stderr
    assert left.line.run("sessions", "logs", left.session).stdout == "result\n"


def test_a_killed_keeper_leaves_no_gpu_behind(left):
    left.line.stack.settings({"idle": {"timeoutMinutes": 30, "graceMinutes": 0.05}})
    left.run("echo begun; sleep 600")
    left.printed("begun")

    left.signal(signal.SIGKILL)

    left.ended("LeaseLapsed")
    back = left.line.run("attach")
    assert back.returncode == 125
    assert "had not heard from this command for too long" in back.stderr


def test_a_person_comes_back_twice_and_is_there_at_the_end(left):
    left.run("echo begun; while [ ! -e ~/go ]; do sleep 0.1; done; echo done; exit 4")
    for _ in range(2):
        screen = left.line.at_terminal("attach", left.session)
        screen.expect_exact("begun")
        screen.sendline("~d")
        assert exit_code(screen) == 0
    assert left.view()["state"] == "Running"

    screen = left.line.at_terminal("attach")
    screen.expect_exact("begun")
    left.lets_it_go_on()
    screen.expect_exact("done")
    screen.expect_exact("exit 4")

    assert exit_code(screen) == 4
    left.ended("ShellsClosed")


def test_a_laptop_may_sleep_while_the_gpu_is_busy_for_as_long_as_the_policy_says(left):
    left.line.stack.settings({"idle": {"timeoutMinutes": 0.05, "graceMinutes": 0.5}})
    left.run(f"{WORKS}; while [ ! -e ~/go ]; do sleep 0.1; done; exit 5")
    _is_seen_busy(left)

    left.signal(signal.SIGSTOP)
    _is_silent_for(left, timedelta(seconds=8))
    assert left.view()["state"] == "Running"

    left.signal(signal.SIGCONT)
    until(lambda: _silence(left) < timedelta(0), "the keeper to hold the lease again")
    left.lets_it_go_on()
    left.ended("ShellsClosed")
    until(lambda: left.record()["exit_code"] == 5, "the keeper to note the exit code")


def test_a_laptop_that_sleeps_for_longer_finds_its_session_ended_and_why(left):
    left.line.stack.settings({"idle": {"timeoutMinutes": 30, "graceMinutes": 0.05}})
    left.run(f"{WORKS}; sleep 600")
    _is_seen_busy(left)

    left.signal(signal.SIGSTOP)
    left.ended("LeaseLapsed")
    left.signal(signal.SIGCONT)

    until(lambda: left.record()["ended_at"], "the keeper to note the end")
    back = left.line.run("attach")
    assert (back.returncode, back.stdout) == (125, "begun\n")
    assert left.record()["end_reason"] == "LeaseLapsed"


def _is_seen_busy(left):
    explained = f"sessions/{left.session}/explain"
    until(lambda: "GPU was busy" in json.dumps(left.line.person.reads(explained)), "the GPU to be seen busy")


def _silence(left):
    """Return for how long the shell's lease has been over; less than nothing while it holds."""
    (shell,) = left.view()["shells"]
    return datetime.now(UTC) - datetime.fromisoformat(shell["leaseExpiresAt"])


def _is_silent_for(left, time):
    def is_over():
        pause(0.2)
        return _silence(left) > time

    until(is_over, "the lease to have been over for a while")
