"""Every way in which a shell does not open, or ends before its person wants: said, counted, and never left behind."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable

import pytest
from conftest import Terminal

Eventually = Callable[[Callable[[], object]], None]


def held(terminal: Terminal, phase: str, eventually: Eventually) -> subprocess.Popen[bytes]:
    """A `run` whose session stays in a phase of its creation."""
    terminal.plane.held_at = phase
    process = terminal.start("run", "true")
    eventually(lambda: terminal.plane.phases[:1] == [phase] and terminal.plane.made("GET", "op-1"))
    return process


def test_a_refusal_is_told_with_its_code_and_what_to_do(terminal: Terminal) -> None:
    terminal.plane.refuse_open = (403, "GpuTypeNotAllowed", "project demo allows T4 only; leave --gpu out")

    done = terminal.run("run", "--gpu", "A100", "true")

    assert done.returncode == 125
    assert b"GpuTypeNotAllowed: project demo allows T4 only; leave --gpu out (request req-7)" in done.stderr
    assert done.stdout == b""
    assert not terminal.plane.closed


def test_a_refusal_after_admission_is_told_and_the_shell_closed(terminal: Terminal) -> None:
    terminal.plane.operation_error = ("ProjectGpuCapReached", "4 of 4 GPUs are in use")

    done = terminal.run("shell", data=b"true\n")

    assert done.returncode == 125
    assert b"ProjectGpuCapReached: 4 of 4 GPUs are in use" in done.stderr
    assert terminal.plane.closed


def test_ctrl_c_while_the_session_is_made_cancels_and_closes(terminal: Terminal, eventually: Eventually) -> None:
    process = held(terminal, "Pulling", eventually)

    process.send_signal(signal.SIGINT)

    _, errors = process.communicate(timeout=20)
    assert process.returncode == 130
    assert b"cancelled: closing the shell" in errors
    assert terminal.plane.closed
    assert not terminal.plane.exec.commands


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_signals_close_the_shell_while_it_is_made(
    terminal: Terminal, eventually: Eventually, number: int, code: int
) -> None:
    process = held(terminal, "Assigning", eventually)

    process.send_signal(number)

    process.communicate(timeout=20)
    assert process.returncode == code
    assert terminal.plane.closed


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_signals_close_the_shell_while_it_is_used(terminal: Terminal, number: int, code: int) -> None:
    process = terminal.start("run", "--", "sh", "-c", "echo started; sleep 60")
    assert process.stdout is not None
    assert process.stdout.readline() == b"started\n"

    process.send_signal(number)

    _, errors = process.communicate(timeout=20)
    assert process.returncode == code
    assert terminal.plane.closed
    assert errors.decode().splitlines()[-1].endswith(f"exit {code}")


def test_a_session_that_is_stopped_under_us_is_told_with_its_reason_and_cost(terminal: Terminal) -> None:
    terminal.plane.renew_after_s = 0.1
    process = terminal.start("run", "--", "sh", "-c", "echo started; sleep 60")
    assert process.stdout is not None
    assert process.stdout.readline() == b"started\n"

    terminal.plane.end_session("Idle")

    _, errors = process.communicate(timeout=20)
    assert process.returncode == 125
    assert b"the session was stopped: it was idle for longer than the project allows" in errors
    assert "est. 0.41 USD · Idle · exit 125" in errors.decode()


def test_the_receipt_of_a_session_that_was_over_before_its_shell_was_closed_is_that_of_its_end(
    terminal: Terminal,
) -> None:
    terminal.plane.renew_after_s = 0.1
    process = terminal.start("run", "--", "sh", "-c", "echo started; exec sleep 60")
    assert process.stdout is not None
    assert process.stdout.readline() == b"started\n"
    assert terminal.plane.shell is not None

    cost = {"amount": "0.75", "currency": "USD", "estimated": True}
    terminal.plane.shell |= {"state": "Ended", "endReason": "Idle", "durationSeconds": 1800, "cost": cost}

    _, errors = process.communicate(timeout=20)
    assert "session s-fake ended · 30 min 0 s · T4 · est. 0.75 USD · Idle · exit 125" in errors.decode()


def test_a_container_that_is_killed_by_the_stop_is_not_taken_for_the_commands_end(terminal: Terminal) -> None:
    process = terminal.start("run", "--", "sh", "-c", "echo started; sleep 60")
    assert process.stdout is not None
    assert process.stdout.readline() == b"started\n"

    terminal.plane.end_session("StoppedByAdministrator")
    terminal.plane.exec.kill_processes()

    _, errors = process.communicate(timeout=20)
    assert process.returncode == 125
    assert b"an administrator stopped it" in errors


def test_a_socket_that_drops_because_the_session_was_stopped_says_so(terminal: Terminal) -> None:
    process = terminal.start("run", "--", "sh", "-c", "echo started; sleep 60")
    assert process.stdout is not None
    assert process.stdout.readline() == b"started\n"

    terminal.plane.end_session("MaxLifetime")
    terminal.plane.exec.drop()

    _, errors = process.communicate(timeout=20)
    assert process.returncode == 125
    assert b"it reached the longest life that the project allows" in errors


def test_a_way_in_that_is_not_ready_yet_is_tried_until_it_is(terminal: Terminal) -> None:
    terminal.plane.connect_not_ready = 1
    terminal.plane.exec.refuse_handshakes = [500, 404]
    terminal.plane.exec.not_ready_frames = 1

    assert terminal.run("run", "echo", "in").stdout == b"in\n"
    assert len(terminal.plane.exec.tokens) == 4


def test_a_way_in_that_is_refused_for_good_is_an_error(terminal: Terminal) -> None:
    terminal.plane.exec.refuse_handshakes = [400]

    done = terminal.run("run", "true")

    assert done.returncode == 125
    assert b"refused the connection with status 400" in done.stderr
    assert terminal.plane.closed


def test_a_service_that_is_busy_for_a_moment_is_not_noticed(terminal: Terminal) -> None:
    terminal.plane.busy_answers = 2

    done = terminal.run("run", "echo", "in")

    assert (done.stdout, done.returncode) == (b"in\n", 0)


def test_the_lease_is_renewed_while_the_session_is_made(terminal: Terminal, eventually: Eventually) -> None:
    terminal.plane.renew_after_s = 0.1
    process = held(terminal, "Pulling", eventually)

    eventually(lambda: len(terminal.plane.made("POST", "/renewLease")) >= 2)
    terminal.plane.held_at = None

    process.communicate(timeout=20)
    assert process.returncode == 0


def test_warnings_are_told_once_on_standard_error(terminal: Terminal, eventually: Eventually) -> None:
    terminal.plane.renew_after_s = 0.1
    terminal.plane.warnings = [{"kind": "Idle", "message": "stops in 5 min unless used", "at": "2026-11-21T22:05:00Z"}]
    process = terminal.start("run", "cat")

    eventually(lambda: len(terminal.plane.made("POST", "/renewLease")) >= 4)

    _, errors = process.communicate(timeout=20)
    assert errors.count(b"devboxgpu: stops in 5 min unless used\n") == 1


def test_a_control_plane_that_was_never_reached_needs_no_closing(terminal: Terminal) -> None:
    done = terminal.run("run", "true", DEVBOXGPU_ENDPOINT="http://127.0.0.1:9/api")

    assert done.returncode == 125
    assert done.stderr.count(b"does not answer") == 1


def test_no_control_plane_there_is_said_with_where_it_was_looked_for(terminal: Terminal) -> None:
    done = terminal.run("sessions", "list", DEVBOXGPU_ENDPOINT="http://127.0.0.1:9/api")

    assert done.returncode == 1
    assert b"the control plane at 127.0.0.1:9 does not answer" in done.stderr
