"""Ctrl-C at each phase of a shell's life, and a terminal that is closed: what is said, the exit code, and no GPU left.

That nothing is left is the `stack` fixture's last look, by the list of what really ran.
"""

from __future__ import annotations

import signal

import pytest

from tests.e2e.command_line import ATTACHED
from tests.e2e.policies import LAPSES_AT_ONCE, places

CTRL_C = "\x03"
LESS_THAN_A_LADDER = 1000
"""Bytes: enough for the control plane's look at the GPU, not for a way in."""
PHASES = {
    "Creating": ({"createSeconds": 90}, {}, "Creating the session"),
    "Assigning": ({"assignSeconds": 90}, {}, "Waiting for the GPU to be assigned"),
    "Pulling": ({"pullSeconds": 90}, {}, "Pulling the image"),
    "Starting": ({"startSeconds": 90}, {}, "Starting the container"),
    "VerifyingGpu": ({}, {"exec_500_for": 90}, "Checking the GPU"),
    "Connecting": ({}, {"exec_drop_after": {"bytes": LESS_THAN_A_LADDER}}, "Connecting"),
}


def test_ctrl_c_while_the_control_plane_is_asked_waits_for_its_answer_and_leaves_nothing(line):
    with line.stack.frozen("host"):
        terminal = line.terminal("shell")
        terminal.expect("Asking for a GPU")
        terminal.type(CTRL_C)
        terminal.expect("cancelled: closing the shell (Ctrl-C leaves at once)")
    assert terminal.exit_code() == 130


def test_ctrl_c_in_line_leaves_the_line(line, somebody):
    line.stack.settings(places(1))
    holder = somebody().opened()
    with line.terminal("shell", "--wait") as terminal:
        terminal.expect("Waiting for a GPU")
        line.session("Waiting")

        terminal.type(CTRL_C)

        terminal.expect("cancelled: leaving the line")
        assert terminal.exit_code() == 130
    assert line.session("Ended")["endReason"] == "Cancelled"
    holder.close()


@pytest.mark.parametrize("phase", PHASES)
def test_ctrl_c_while_the_session_is_made_ready_cancels_it(line, phase):
    knobs, faults, shown = PHASES[phase]
    line.stack.capacity(**knobs)
    line.stack.azure_faults(**faults)
    with line.terminal("shell") as terminal:
        terminal.expect(shown)

        terminal.type(CTRL_C)

        terminal.expect("cancelled: closing the shell (Ctrl-C leaves at once)")
        assert terminal.exit_code() == 130
        assert "session" not in terminal.plain.split("cancelled")[1], "nothing was attached: there is no receipt"
    assert line.session("Ended")["endReason"] == ("ShellsClosed" if phase == "Connecting" else "Cancelled")


def test_ctrl_c_is_the_remotes_key_then_gives_up_reconnecting(line):
    with line.shell_on_screen() as terminal:
        terminal.enter("sh -c 'echo be''gun; exec sleep 1000'")
        terminal.expect("begun")
        terminal.type(CTRL_C)
        terminal.expect("ready> ")
        terminal.enter("echo it-was-$?")
        terminal.expect("it-was-130")

        line.stack.azure_faults(exec_500_for=600)
        assert line.stack.cut_connections() == 1
        terminal.expect("connection lost, reconnecting (Ctrl-C gives up) ...")
        terminal.type(CTRL_C)

        terminal.expect("the connection to the session was lost")
        terminal.expect("exit 125")
        assert terminal.exit_code() == 125
    assert line.session("Ended")["endReason"] == "ShellsClosed"


def test_ctrl_c_while_it_is_closed_goes_on_without_the_save_hook_and_a_second_one_leaves_at_once(line):
    line.stack.settings(LAPSES_AT_ONCE)
    with line.shell_on_screen() as terminal:
        terminal.enter("mkdir -p ~/.devboxgpu; printf '#!/bin/sh\\necho saving\\nsleep 1000\\n' > ~/.devboxgpu/on-stop")
        terminal.enter("chmod +x ~/.devboxgpu/on-stop; exit 4")
        terminal.expect("saving\r\n")
        terminal.expect("Ctrl-C goes on without it")
        terminal.type(CTRL_C)
        terminal.expect("is not waited for any longer")
        assert terminal.exit_code() == 4
        assert "exit 4" in terminal.plain
    line.stack.capacity(createSeconds=90)
    with line.stack.frozen("host"), line.terminal("shell") as terminal:
        terminal.expect("Asking for a GPU")
        terminal.type(CTRL_C)
        terminal.expect("(Ctrl-C leaves at once)")
        terminal.type(CTRL_C)
        assert terminal.exit_code() == 130


@pytest.mark.parametrize("attached", [False, True])
def test_a_closed_terminal_closes_the_shell(line, attached):
    if not attached:
        line.stack.capacity(pullSeconds=90)
    with line.terminal("shell") as terminal:
        terminal.expect(ATTACHED if attached else "Pulling the image")

        terminal.close_window()

        assert terminal.exit_code() == 128 + signal.SIGHUP
    assert line.session("Ended")["endReason"] == ("ShellsClosed" if attached else "Cancelled")
