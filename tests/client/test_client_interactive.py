"""`devboxgpu shell` at a terminal, as a person meets it."""

from __future__ import annotations

import hashlib
import os
import signal
import termios
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pexpect
import pytest
from conftest import Terminal

Eventually = Callable[[Callable[[], object]], None]
PROMPT = "remote> "


def opened(terminal: Terminal, *arguments: str, **environment: str) -> pexpect.spawn:
    screen = terminal.spawn("shell", *arguments, **environment)
    screen.expect_exact(PROMPT)
    return screen


def exit_code(screen: pexpect.spawn) -> int | None:
    screen.expect(pexpect.EOF)
    screen.close()
    return screen.exitstatus


def test_a_person_types_sees_and_leaves_with_the_remotes_exit_code(terminal: Terminal) -> None:
    screen = opened(terminal)

    screen.sendline("echo $((6*7)) héllo 🚀")
    screen.expect_exact("42 héllo 🚀".encode())
    screen.sendline("exit 7")
    screen.expect_exact("session s-fake ended · 42 min 10 s · T4 · est. 0.41 USD · exit 7".encode())

    assert exit_code(screen) == 7
    assert terminal.plane.closed


def test_phases_and_price_are_shown_before_the_prompt(terminal: Terminal) -> None:
    screen = terminal.spawn("shell")

    for text in (
        "demo · T4 · westus3 · est. 1.56 USD/h",
        "✔",
        "GPU assigned",
        "Image pulled",
        "Connected",
        "~?",
        PROMPT,
    ):
        screen.expect_exact(text.encode())
    screen.sendline("exit")

    assert exit_code(screen) == 0


def test_output_in_pieces_of_characters_reaches_the_screen_whole(terminal: Terminal) -> None:
    terminal.plane.exec.read_size = 7
    screen = opened(terminal)

    screen.sendline("printf '%s\\n' $((2+2))-héééllo-🚀🚀🚀-ende")
    screen.expect_exact("4-héééllo-🚀🚀🚀-ende".encode())
    screen.sendline("exit")

    assert exit_code(screen) == 0


def test_the_size_is_told_at_first_and_at_every_change(terminal: Terminal, eventually: Eventually) -> None:
    screen = opened(terminal)
    screen.sendline("stty size")
    screen.expect_exact("30 100")

    for rows in range(31, 61):  # a window that is being dragged
        screen.setwinsize(rows, 3 * rows)
    screen.sendline("until test \"$(stty size)\" = '60 180'; do sleep 0.01; done; echo it is-$((60*180))")
    screen.expect_exact("it is-10800")
    screen.sendline("exit")
    assert exit_code(screen) == 0


def test_ctrl_c_goes_to_the_remote_and_not_to_us(terminal: Terminal) -> None:
    screen = opened(terminal)

    screen.sendline("sleep 60; echo broken-$?")
    screen.expect_exact("broken-$?")
    screen.send("\x03")
    screen.expect_exact(PROMPT)
    screen.sendline("exit 4")

    assert exit_code(screen) == 4


def test_keys_that_are_no_text_arrive_unchanged(terminal: Terminal, eventually: Eventually) -> None:
    screen = opened(terminal)
    screen.sendline("stty raw -echo; head -c 3 | od -An -tx1; stty sane")
    screen.expect_exact("stty sane")
    screen.send(b"\xff\x00\xe9")
    screen.expect_exact("ff 00 e9")
    screen.sendline("exit")

    assert exit_code(screen) == 0


def test_a_paste_of_several_lines_arrives_whole(terminal: Terminal) -> None:
    screen = opened(terminal)
    words = "é" * 3000

    screen.sendline("stty -icanon -echo; read -r line; echo got ${#line}; stty sane")
    screen.expect_exact("stty sane")
    screen.sendline(words)

    screen.expect_exact("got 3000")
    screen.sendline("exit")
    assert exit_code(screen) == 0


def test_the_escape_keys_disconnect_and_stop(terminal: Terminal) -> None:
    screen = opened(terminal)

    screen.send("\r~?")
    screen.expect_exact("disconnect; the session stops, unless other shells are in it")
    screen.send("\r~.")

    assert exit_code(screen) == 125
    assert terminal.plane.closed


def test_the_terminals_modes_are_restored_in_every_path(terminal: Terminal) -> None:
    for end in (b"exit\r", b"\r~.", signal.SIGTERM):
        terminal.plane.phases = []
        screen = terminal.spawn("shell")
        before = termios.tcgetattr(screen.child_fd)
        screen.expect_exact(PROMPT)
        assert termios.tcgetattr(screen.child_fd) != before

        if isinstance(end, bytes):
            screen.send(end)
        else:
            screen.kill(end)
        screen.expect_exact("session s-fake ended")
        after = termios.tcgetattr(screen.child_fd)

        screen.expect(pexpect.EOF)
        screen.close()
        assert after == before


def test_ctrl_c_while_the_session_is_made_cancels(terminal: Terminal) -> None:
    terminal.plane.held_at = "Pulling"
    screen = terminal.spawn("shell")
    screen.expect_exact("GPU assigned")

    screen.send("\x03")
    screen.expect_exact("cancelled: closing the shell")

    assert exit_code(screen) == 130
    assert terminal.plane.closed


def test_a_second_ctrl_c_leaves_at_once(terminal: Terminal, eventually: Eventually) -> None:
    terminal.plane.held_at = "Pulling"
    terminal.plane.close_allowed.clear()
    screen = terminal.spawn("shell")
    screen.expect_exact("GPU assigned")

    screen.send("\x03")
    screen.expect_exact("cancelled: closing the shell")
    eventually(lambda: terminal.plane.made("DELETE", ""))
    screen.send("\x03")

    assert exit_code(screen) == 130
    assert not terminal.plane.closed
    terminal.plane.close_allowed.set()


def test_after_a_drop_the_same_shell_goes_on(terminal: Terminal) -> None:
    screen = opened(terminal)
    screen.sendline("x=kept; (sleep 0.3; echo printed-$((1+1))-meanwhile) &")
    screen.expect_exact(PROMPT)

    terminal.plane.exec.drop()
    screen.send("echo still-$")  # typed while there is no connection
    screen.expect(rb"\x1b\[2mdevboxgpu: reconnected after [0-9.]+ s\x1b\[22m\r\n")
    screen.sendline("x")
    screen.expect_exact("still-kept")
    screen.sendline("wait")
    screen.sendline("exit 5")

    assert exit_code(screen) == 5
    assert screen.before.count(b"printed-2-meanwhile") <= 1
    assert len(terminal.plane.made("PUT", "")) == 1
    assert len(terminal.plane.exec.tokens) == 2


def test_a_frozen_client_comes_back_to_the_same_shell(terminal: Terminal, eventually: Eventually) -> None:
    screen = opened(terminal)
    screen.sendline("x=kept")
    screen.expect_exact(PROMPT)

    os.kill(screen.pid, signal.SIGSTOP)  # the laptop sleeps
    terminal.plane.exec.drop()
    eventually(lambda: not terminal.plane.exec.open)
    os.kill(screen.pid, signal.SIGCONT)

    screen.expect_exact("reconnected after")
    screen.sendline("echo still-$x")
    screen.expect_exact("still-kept")
    screen.sendline("exit 5")
    assert exit_code(screen) == 5


def test_a_full_screen_program_is_not_written_over_at_a_drop(terminal: Terminal, eventually: Eventually) -> None:
    screen = opened(terminal)
    screen.sendline("printf '\\033[?1049h'; echo full-$((1+1))-screen; read x; printf '\\033[?1049l'")
    screen.expect_exact("full-2-screen")

    terminal.plane.exec.drop()
    eventually(lambda: len(terminal.plane.exec.commands) == 2)
    screen.send("\r")
    screen.expect_exact("\x1b[?1049l")

    assert b"reconnected" not in screen.before
    screen.sendline("exit")
    assert exit_code(screen) == 0


def test_without_python_a_drop_gives_the_screen_back_and_a_new_shell(terminal: Terminal) -> None:
    terminal.plane.exec.use_no_python()
    screen = terminal.spawn("shell")
    screen.expect_exact("no agent in this container (there is no python3): a dropped connection ends it\r\n")
    screen.expect_exact(PROMPT)
    screen.sendline("printf '\\033[?1049h'; echo full-$((1+1))-screen")
    screen.expect_exact("full-2-screen")

    terminal.plane.exec.drop()

    screen.expect_exact("\x1b[?1049l")
    screen.expect_exact("a new shell in the same session s-fake; the old one may be gone")
    screen.sendline("exit 5")
    assert exit_code(screen) == 5
    assert len(terminal.plane.made("PUT", "")) == 1


def test_an_agent_that_is_killed_is_told(terminal: Terminal) -> None:
    screen = opened(terminal)

    terminal.plane.exec.kill_agents()

    screen.expect_exact("the agent in the container has ended")
    assert exit_code(screen) == 125
    assert terminal.plane.closed


def test_ctrl_c_while_reconnecting_gives_up(terminal: Terminal) -> None:
    screen = opened(terminal)
    terminal.plane.exec.refuse_handshakes = [503] * 1000

    terminal.plane.exec.drop()
    screen.expect_exact("connection lost, reconnecting")
    screen.send("\x03")

    assert exit_code(screen) == 125
    assert terminal.plane.closed


def test_a_session_stopped_under_the_shell_is_explained(terminal: Terminal) -> None:
    screen = opened(terminal)

    terminal.plane.end_session("StoppedByAdministrator")
    terminal.plane.exec.drop()

    screen.expect_exact("the session was stopped: an administrator stopped it")
    screen.expect_exact("exit 125")
    assert exit_code(screen) == 125


def test_a_warning_appears_as_a_line_of_its_own(terminal: Terminal) -> None:
    terminal.plane.renew_after_s = 0.1
    screen = opened(terminal)

    terminal.plane.warnings = [{"kind": "Idle", "message": "stops in 1 min\x1b]0;evil\x07", "at": "x"}]

    screen.expect_exact("\r\ndevboxgpu: stops in 1 min ]0;evil\r\n")
    screen.sendline("exit")
    assert exit_code(screen) == 0


def test_a_command_at_a_terminal_has_a_terminal(terminal: Terminal) -> None:
    screen = terminal.spawn("run", "--", "sh", "-c", "test -t 0 && test -t 1 && stty size && echo it''s && exit 6")

    screen.expect_exact("30 100")
    screen.expect_exact("its")

    assert exit_code(screen) == 6


def test_a_command_goes_on_through_a_drop_and_is_not_run_twice(terminal: Terminal, eventually: Eventually) -> None:
    command = "echo begun >> log; echo begun; until test -e go; do sleep 0.01; done; echo ended-$((1+1)); exit 6"
    screen = terminal.spawn("run", "--", "sh", "-c", command)
    screen.expect_exact("begun")

    terminal.plane.exec.drop()
    eventually(lambda: len(terminal.plane.exec.commands) == 2)
    (terminal.plane.exec.home / "go").touch()
    screen.expect_exact("ended-2")

    assert exit_code(screen) == 6
    assert (terminal.plane.exec.home / "log").read_text() == "begun\n"


def test_the_keys_tell_of_the_session_and_extend_it(terminal: Terminal) -> None:
    screen = opened(terminal)

    assert terminal.plane.shell is not None
    stops_at = (datetime.now(UTC) + timedelta(minutes=20)).isoformat()
    terminal.plane.sessions = [{**terminal.plane.shell, "id": "s-fake", "stopsAt": stops_at, "stopReason": "Idle"}]

    screen.send("\r~i")
    screen.expect_exact("devboxgpu: session s-fake · Running".encode())
    screen.expect_exact("devboxgpu: T4 in westus3 · cost unknown · 1.56 USD/h".encode())
    screen.expect_exact("(in 20 min): idle")
    screen.send("\r~e")
    screen.expect_exact("devboxgpu: extended: stops at ")
    screen.expect_exact("(in 1 h 19 min): idle")
    screen.sendline("exit")

    assert exit_code(screen) == 0


def test_a_paste_of_a_megabyte_arrives_whole_and_does_not_lock_the_keys(terminal: Terminal) -> None:
    screen = opened(terminal)
    screen.sendline("stty raw -echo; echo rea''dy; head -c 1000000 | md5sum; stty sane; sleep 100")
    screen.expect_exact("ready")
    paste = b"0123456789abcde\n" * 62_500

    screen.send(paste)
    screen.expect_exact(hashlib.md5(paste).hexdigest())
    screen.send("\r~.")

    assert exit_code(screen) == 125


@pytest.mark.parametrize("plain", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_without_colour_nothing_moves_either(terminal: Terminal, plain: dict[str, str]) -> None:
    screen = terminal.spawn("run", "true", **plain)

    screen.expect(pexpect.EOF)

    assert b"\x1b" not in screen.before
    assert b"GPU assigned (" in screen.before


@pytest.mark.parametrize("hangup", [signal.SIG_DFL, signal.SIG_IGN])
def test_closing_the_terminal_closes_the_shell(
    terminal: Terminal, eventually: Eventually, hangup: signal.Handlers
) -> None:
    before = signal.signal(signal.SIGHUP, hangup)  # ignored, as under nohup: the end of the input says it then
    screen = opened(terminal)
    signal.signal(signal.SIGHUP, before)

    os.close(screen.child_fd)
    screen.closed = True

    eventually(lambda: terminal.plane.closed)
