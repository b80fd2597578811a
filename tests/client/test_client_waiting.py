"""A shell that waits in line, is tried in several places, or shares a session: what its person is told."""

from __future__ import annotations

import signal
from collections.abc import Callable

import pexpect
import pytest
from conftest import Terminal

Eventually = Callable[[Callable[[], object]], None]


def place(position: int, wait_s: int | None = None) -> dict[str, object]:
    return {"queuePosition": position} | ({} if wait_s is None else {"expectedWaitSeconds": wait_s})


@pytest.fixture
def full(terminal: Terminal) -> Terminal:
    """A project whose GPUs are all in use."""
    terminal.plane.all_gpus_in_use = True
    return terminal


def test_a_shell_in_line_is_told_its_place_an_estimate_and_once_why(full: Terminal) -> None:
    full.plane.line = [place(2, 120), place(2, 60), place(1, 40), place(1)]

    done = full.run("run", "--wait", "true")

    lines = done.stderr.decode().splitlines()
    assert done.returncode == 0
    assert [line for line in lines if "in line" in line or "in use" in line] == [
        "devboxgpu: Waiting for a GPU: 2nd in line · about 2 min",
        "devboxgpu: 4 of 4 GPUs of demo are in use · at the longest until 2026-11-21T23:00:00Z",
        "devboxgpu: Waiting for a GPU: 1st in line · about 40 s",
    ]
    assert sum(line.startswith("devboxgpu: Waited for a GPU (") for line in lines) == 1
    assert not any("Admitted" in line for line in lines)


def test_a_wait_that_nobody_can_estimate_is_called_unknown(full: Terminal) -> None:
    full.plane.line = [place(1)]

    assert "1st in line · wait unknown" in full.run("run", "--wait", "true").stderr.decode()


def test_the_place_moves_on_a_terminal_and_why_stays(full: Terminal) -> None:
    full.plane.line = [place(2, 61)]
    full.plane.line_stands_still = True
    screen = full.spawn("shell")
    screen.expect_exact("4 of 4 GPUs of demo are in use")
    screen.expect_exact("2nd in line · about 1 min".encode())

    full.plane.line[0] = place(1)

    screen.expect_exact("1st in line · wait unknown".encode())
    full.plane.line_stands_still = False
    screen.expect_exact("Waited for a GPU")
    screen.expect_exact("remote> ")
    screen.sendline("exit")
    screen.expect(pexpect.EOF)


def test_ctrl_c_in_line_leaves_the_line(full: Terminal, eventually: Eventually) -> None:
    full.plane.line_stands_still = True
    process = full.start("run", "--wait", "true")
    eventually(lambda: len(full.plane.made("GET", "op-1")) >= 2)

    process.send_signal(signal.SIGINT)

    _, errors = process.communicate(timeout=20)
    assert process.returncode == 130
    assert b"cancelled: leaving the line (Ctrl-C leaves at once)" in errors
    assert full.plane.closed


def test_without_a_terminal_nobody_waits_unless_told_to(full: Terminal) -> None:
    done = full.run("run", "true")

    assert done.returncode == 125
    assert b"ProjectGpuCapReached: 4 of 4 GPUs of demo are in use" in done.stderr
    assert full.plane.closed


def test_at_a_terminal_a_person_waits_unless_told_not_to(full: Terminal) -> None:
    screen = full.spawn("run", "--no-wait", "true")

    screen.expect_exact("ProjectGpuCapReached")
    screen.expect(pexpect.EOF)
    screen.close()
    assert screen.exitstatus == 125


@pytest.mark.parametrize(
    ("flags", "sent"),
    [
        (["--wait"], {"wait": True}),
        (["--no-wait"], {}),
        ([], {}),
        (["--wait-timeout", "1h30m"], {"wait": True, "waitTimeoutSeconds": 5400}),
        (["--wait", "--wait-timeout", "90s"], {"wait": True, "waitTimeoutSeconds": 90}),
        (["--session", "s-9"], {"session": "s-9"}),
    ],
)
def test_the_request_says_whether_and_how_long_to_wait(
    terminal: Terminal, flags: list[str], sent: dict[str, object]
) -> None:
    terminal.plane.joinable = "s-9"

    terminal.run("run", *flags, "true")

    body = terminal.plane.made("PUT", "")[0].body
    assert body is not None
    assert {name: value for name, value in body.items() if name != "origin"} == sent


@pytest.mark.parametrize(
    ("flags", "what"),
    [
        (["--no-wait", "--wait-timeout", "5m"], "--no-wait"),
        (["--session", "s-9", "--wait"], "--session"),
        (["--session", "s-9", "--wait-timeout", "5m"], "--session"),
        (["--wait-timeout", "soon"], "'soon' is no duration: write 90s, 30m, 2h or 1h30m"),
        (["--wait-timeout", "0"], "'0' is no time at all"),
        (["-o", "json"], "--dry-run"),
    ],
)
def test_wishes_that_contradict_each_other_are_wrong_words(terminal: Terminal, flags: list[str], what: str) -> None:
    done = terminal.run("run", *flags, "true")

    assert done.returncode == 125
    assert what in done.stderr.decode()
    assert not terminal.plane.calls


def test_a_try_that_failed_is_told_with_the_next_one(terminal: Terminal) -> None:
    terminal.plane.regions_without_gpu = {"westus3"}

    done = terminal.run("run", "true")

    lines = done.stderr.decode().splitlines()
    assert done.returncode == 0
    assert lines.count("devboxgpu: attempt 2 in swedencentral: westus3/T4 had no GPU") == 1
    assert sum("GPU assigned" in line for line in lines) == 1


def test_another_gpu_than_the_first_choice_is_named(terminal: Terminal) -> None:
    terminal.plane.regions_without_gpu = {"westus3"}
    terminal.plane.fallback = "A100"

    lines = terminal.run("run", "true").stderr.decode().splitlines()

    assert "devboxgpu: attempt 2 in swedencentral with A100: westus3/T4 had no GPU" in lines
    assert any(line.startswith("devboxgpu: GPU checked (") and line.endswith(" A100") for line in lines)


def test_a_failed_try_is_told_on_a_terminal_too(terminal: Terminal) -> None:
    terminal.plane.regions_without_gpu = {"westus3"}
    screen = terminal.spawn("run", "true")

    screen.expect_exact("attempt 2 in swedencentral: westus3/T4 had no GPU")
    screen.expect_exact("GPU assigned")
    screen.expect(pexpect.EOF)


def test_when_every_try_fails_each_is_told_with_its_reason(terminal: Terminal) -> None:
    terminal.plane.regions_without_gpu = {"westus3", "swedencentral", "australiaeast"}

    done = terminal.run("run", "true")

    assert done.returncode == 125
    lines = done.stderr.decode().splitlines()
    assert lines[-4:] == [
        "devboxgpu: NoCapacity: no region had a GPU; try again later",
        *(
            f"devboxgpu: - {region}/T4: no GPU was assigned in {region} within 600 s"
            for region in ("westus3", "swedencentral", "australiaeast")
        ),
    ]
    assert terminal.plane.closed


def test_a_guest_is_told_whose_session_it_is_in(terminal: Terminal) -> None:
    terminal.plane.joinable = "s-9"

    errors = terminal.run("run", "--session", "s-9", "true").stderr.decode()

    assert "session s-9 · joined: another shell of yours opened it" in errors


def test_a_session_that_cannot_be_joined_is_a_refusal(terminal: Terminal) -> None:
    done = terminal.run("run", "--session", "s-8", "true")

    assert done.returncode == 125
    assert b"SessionNotJoinable: session s-8 is not one that you can join" in done.stderr


@pytest.mark.parametrize(("others", "text"), [(1, "1 more shell"), (2, "2 more shells")])
def test_a_session_that_other_shells_keep_is_not_said_to_have_ended(terminal: Terminal, others: int, text: str) -> None:
    terminal.plane.other_shells = others

    done = terminal.run("run", "--", "sh", "-c", "exit 3")

    last = done.stderr.decode().splitlines()[-1]
    assert last == f"devboxgpu: shell closed · session s-fake goes on with {text} · exit 3"
    assert done.returncode == 3
