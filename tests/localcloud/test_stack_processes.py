"""Processes by themselves: recognised, ended, and their logs kept within bounds."""

import os
import subprocess
import sys

import pytest

from localcloud.stack.processes import LONGEST_LOG_BYTES, Mark, ProcessTable, end, is_alive, log_tail, moment_of_start
from localcloud.stack.state_folder import StateFolder

SLEEPER = [sys.executable, "-c", "import time; print('began', flush=True); time.sleep(600)"]
STUBBORN = [
    sys.executable,
    "-c",
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('began', flush=True); time.sleep(600)",
]
PATH = {"PATH": os.defpath}


@pytest.fixture
def state(tmp_path):
    return StateFolder(tmp_path / "state")


@pytest.fixture
def start(state, tmp_path, eventually):
    """Start a process of the given command that has begun its work; all are gone after the test."""
    started = []

    def begin(command, name="part"):
        mark = ProcessTable(state).start(name, command, environment=PATH, folder=tmp_path)
        started.append(mark)
        eventually(lambda: "began" in log_tail(state.log_of(name)))
        return mark

    yield begin
    for mark in started:
        end(mark, patience_s=10, signal_number=9)


def test_a_process_is_found_by_a_later_table_until_it_ends(start, state):
    mark = start(SLEEPER)
    assert ProcessTable(state).living("part") == mark

    assert end(mark, patience_s=10)

    assert ProcessTable(state).living("part") is None
    assert ProcessTable(state).mark("part") == mark


def test_a_process_is_the_head_of_a_session_of_its_own(start):
    mark = start(SLEEPER)

    assert os.getsid(mark.pid) == mark.pid != os.getsid(0)


def test_one_that_will_not_end_is_said_so(start):
    mark = start(STUBBORN)

    assert not end(mark, patience_s=0.2)
    assert is_alive(mark)


def test_the_same_id_with_another_moment_of_start_is_another_process(start):
    mark = start(SLEEPER)
    impostor = Mark(pid=mark.pid, started="another-boot/1")

    assert not is_alive(impostor)
    assert end(impostor, patience_s=1)
    assert is_alive(mark)


def test_an_ended_child_that_nobody_collected_counts_as_gone():
    child = subprocess.Popen([sys.executable, "-c", ""], stdout=subprocess.PIPE)
    mark = Mark(pid=child.pid, started=moment_of_start(child.pid) or "")
    child.stdout.read()  # its end closes the pipe; the process itself is not waited for
    child.stdout.close()

    assert end(mark, patience_s=10)


def test_a_long_log_is_put_aside_at_the_next_start(start, state):
    log = state.log_of("part")
    log.parent.mkdir(parents=True)
    with log.open("wb") as file:
        file.truncate(LONGEST_LOG_BYTES + 1)

    start(SLEEPER)

    assert log.stat().st_size < 100
    assert log.with_name("part.log.1").stat().st_size == LONGEST_LOG_BYTES + 1


def test_secrets_are_made_once_and_are_their_owners_only(state):
    first = state.topic_key

    assert StateFolder(state.path).topic_key == first != state.identity_header
    (kept,) = state.path.glob("event-grid-topic-key*")
    assert kept.stat().st_mode & 0o777 == 0o600
