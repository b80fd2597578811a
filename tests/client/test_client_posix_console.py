"""The terminal of Linux and macOS: raw while it is used, given back whatever happens."""

from __future__ import annotations

import os
import signal
import sys
import termios
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pexpect
import pytest

from devboxgpu.console.posix import PosixConsole, PosixOutput

Eventually = Callable[[Callable[[], object]], None]
PROGRAM = """
import sys, time
from devboxgpu.console import Console
console = Console()
with console.raw():
    sys.stdout.write("ready\\r\\n"); sys.stdout.flush()
    while (data := console.read()) not in (b"q", b""):
        if data == b"x": raise RuntimeError("unforeseen")
        sys.stdout.write(repr(data) + "\\r\\n"); sys.stdout.flush()
"""


@pytest.fixture
def terminal_of_program() -> Iterator[tuple[pexpect.spawn, list[Any]]]:
    """The program in raw mode, and the modes before it."""
    child = pexpect.spawn(
        sys.executable,
        ["-c", f"import sys; sys.stdin.readline(); exec({PROGRAM!r})"],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2] / "client")},
        timeout=20,
    )
    before = termios.tcgetattr(child.child_fd)
    child.sendline("")
    child.expect_exact("ready")
    yield child, before
    child.close(force=True)


def modes(child: pexpect.spawn) -> list[Any]:
    return termios.tcgetattr(child.child_fd)


def state_of(child: pexpect.spawn) -> str:
    return Path(f"/proc/{child.pid}/stat").read_text().rpartition(")")[2].split()[0]


@pytest.mark.parametrize("last", ["q", "x"], ids=["at its end", "after a crash"])
def test_the_modes_are_given_back(terminal_of_program: tuple[pexpect.spawn, list[Any]], last: str) -> None:
    child, before = terminal_of_program
    assert modes(child) != before

    child.send(last)
    child.expect(pexpect.EOF)

    assert modes(child) == before


@pytest.mark.skipif(sys.platform != "linux", reason="whether it is stopped is read from /proc")
@pytest.mark.parametrize("stop", [signal.SIGSTOP, signal.SIGTSTP], ids=["stop", "terminal stop"])
def test_a_program_that_was_stopped_goes_on_in_raw_mode(
    terminal_of_program: tuple[pexpect.spawn, list[Any]], stop: signal.Signals, eventually: Eventually
) -> None:
    child, before = terminal_of_program
    raw = modes(child)

    child.kill(stop)
    eventually(lambda: state_of(child) == "T")
    if stop is signal.SIGTSTP:
        assert modes(child) == before, "whoever stopped it has a terminal that can be used"
    termios.tcsetattr(child.child_fd, termios.TCSANOW, before)  # as the shell that it was started from does
    child.kill(signal.SIGCONT)

    eventually(lambda: modes(child) == raw)
    child.send("\x1a")
    child.expect_exact("b'\\x1a'")
    child.send("q")
    child.expect(pexpect.EOF)
    assert modes(child) == before


def test_a_terminal_that_another_program_made_non_blocking_is_no_end_of_input() -> None:
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    console = PosixConsole()
    with pytest.MonkeyPatch.context() as patch, os.fdopen(reader, "rb", buffering=0) as stream:
        patch.setattr(sys, "stdin", stream)
        patch.setattr("select.select", lambda *_: os.write(writer, b"late"))

        assert console.read() == b"late"
    os.close(writer)


def test_a_terminal_that_has_gone_is_an_end_of_input(monkeypatch: pytest.MonkeyPatch) -> None:
    controller, terminal = os.openpty()
    with os.fdopen(terminal, "rb", buffering=0) as stream:
        monkeypatch.setattr(sys, "stdin", stream)
        os.close(controller)

        assert PosixConsole().read() == b""


def test_output_that_does_not_fit_at_once_is_written_when_it_does() -> None:
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    data = os.urandom(300_000)
    read = bytearray()

    def drain(_reads: object, writes: list[int], _errors: object) -> None:
        assert writes == [writer]
        read.extend(os.read(reader, 65536))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("select.select", drain)
        PosixOutput(writer).write(data)
    os.close(writer)
    while piece := os.read(reader, 65536):
        read.extend(piece)
    os.close(reader)

    assert bytes(read) == data


def test_output_that_nobody_reads_is_a_broken_pipe() -> None:
    reader, writer = os.pipe()
    os.close(reader)

    with pytest.raises(BrokenPipeError):
        PosixOutput(writer).write(b"x")
    os.close(writer)
