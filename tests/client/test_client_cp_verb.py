"""`cp`, `forward` and `--sync` as a person types them, through the exec channel and the agent that it starts."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from conftest import Terminal
from fake_control_plane import FakeControlPlane

from devboxgpu.agent.safe_names import PART_SUFFIX

Eventually = Callable[[Callable[[], object]], None]
MIB = 1024 * 1024


@pytest.fixture
def there(plane: FakeControlPlane) -> Path:
    return plane.exec.home


@pytest.fixture
def running(terminal: Terminal, plane: FakeControlPlane) -> Iterator[subprocess.Popen[bytes]]:
    """A session that is kept by a command of its own."""
    process = terminal.start("run", "--", "sh", "-c", "echo ready; cat >/dev/null")
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    yield process
    process.communicate(timeout=30)


def test_files_go_both_ways_and_it_is_said_how_many(terminal: Terminal, there: Path, running: object):
    (terminal.cwd / "data").mkdir()
    (terminal.cwd / "data" / "big").write_bytes(os.urandom(3 * MIB))
    (terminal.cwd / "data" / "a b").write_text("x")

    up = terminal.run("cp", "data", ":")
    down = terminal.run("cp", "s-fake:data/.", "back/")
    again = terminal.run("cp", "-q", ":data", "back/..")

    assert (up.returncode, down.returncode, again.returncode) == (0, 0, 0)
    assert (there / "data" / "a b").read_text() == "x"
    assert (terminal.cwd / "back" / "big").read_bytes() == (terminal.cwd / "data" / "big").read_bytes()
    assert re.fullmatch(rb"devboxgpu: 2 files, 3\.1 MB in .* s \(.*/s\), checksums verified\n", up.stderr)
    assert (up.stdout, down.stdout, again.stdout, again.stderr) == (b"", b"", b"", b"")


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("a", "b"), 2, b"no side is in a session: write ':b'"),
        ((":a", ":b"), 2, b"both sides are in a session"),
        ((":a", "b", "c"), 2, b"all sources must be on the same side"),
        ((":a",), 2, b"Missing argument"),
        (("a", ":"), 3, b"no session of yours is running; 'devboxgpu shell' opens one"),
        (("a", "s-9:"), 3, b"you have no open shell in session s-9"),
    ],
)
def test_a_copy_that_cannot_be_says_why(terminal: Terminal, words: tuple[str, ...], code: int, said: bytes):
    done = terminal.run("cp", *words)

    assert done.returncode == code
    assert said in done.stderr


def test_ctrl_c_leaves_nothing_half_done_and_says_how_to_go_on(
    terminal: Terminal, there: Path, running: object, eventually: Eventually
):
    content = os.urandom(16 * MIB)
    (there / "big").write_bytes(content)
    copying = terminal.start("cp", ":big", ".")
    eventually(lambda: any(part.stat().st_size > 2 * MIB for part in terminal.cwd.glob(f".big*{PART_SUFFIX}")))

    copying.send_signal(signal.SIGINT)
    _, said = copying.communicate(timeout=30)

    assert copying.returncode == 130
    assert b"The same command again goes on where this one stopped" in said
    assert not (terminal.cwd / "big").exists()

    resumed = terminal.run("cp", ":big", ".")
    assert resumed.returncode == 0
    assert b"were there from an earlier try" in resumed.stderr
    assert (terminal.cwd / "big").read_bytes() == content


def test_a_session_that_ends_under_a_copy_is_said(
    terminal: Terminal, there: Path, plane: FakeControlPlane, running: object
):
    plane.shell = {**(plane.shell or {}), "state": "Ended", "endReason": "Idle"}

    done = terminal.run("cp", ":big", ".")

    assert done.returncode == 3
    assert b"it was idle for longer than the project allows" in done.stderr


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 0), (signal.SIGTERM, 143)])
def test_a_port_is_reached_until_ctrl_c_or_another_end(
    terminal: Terminal, running: object, number: signal.Signals, code: int
):
    with socket.create_server(("127.0.0.1", 0)) as program:
        port = program.getsockname()[1]
        forwarding = terminal.start("forward", f"0:{port}")
        assert forwarding.stdout is not None
        line = forwarding.stdout.readline().decode()
        local = int(re.fullmatch(rf"http://localhost:(\d+) -> session s-fake port {port}\n", line)[1])
        with socket.create_connection(("127.0.0.1", local)) as client:
            inside, _ = program.accept()
            with inside:
                client.sendall(b"question")
                assert inside.recv(100) == b"question"
                inside.sendall(b"answer")
                assert client.recv(100) == b"answer"
        forwarding.send_signal(number)
        _, said = forwarding.communicate(timeout=30)

    assert forwarding.returncode == code
    assert said.endswith(b"devboxgpu: the ports are closed\n")
    hint = f"AI Toolkit: add http://localhost:{local} under 'Bring your own model' as the hosting URL"
    assert hint in said.decode()


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("s-1",), 2, b"which port of session 's-1'?"),
        (("99999",), 2, b"'99999' is no port"),
        (("80",), 3, b"no session of yours is running"),
    ],
)
def test_a_port_that_cannot_be_forwarded_says_why(terminal: Terminal, words: tuple[str, ...], code: int, said: bytes):
    done = terminal.run("forward", *words)

    assert done.returncode == code
    assert said in done.stderr


def test_a_folder_is_taken_along_and_what_is_new_comes_back(terminal: Terminal, there: Path):
    project = terminal.cwd / "project"
    project.mkdir()
    (project / "in.txt").write_text("given")

    done = terminal.run("run", "--sync", "project", "--", "sh", "-c", "cat in.txt; pwd; echo made > out.txt; exit 3")

    assert done.returncode == 3
    assert done.stdout.decode().splitlines() == ["given", str(there / "project")] or done.stdout.startswith(b"given")
    assert (project / "out.txt").read_text() == "made\n"
    assert b"brought back from ~/project: 1 file" in done.stderr


def test_a_folder_comes_back_after_ctrl_c_too(terminal: Terminal, eventually: Eventually):
    project = terminal.cwd / "project"
    project.mkdir()
    process = terminal.start(
        "run", "--sync", "project", "--", "sh", "-c", "echo made > out.txt; echo ready; exec sleep 60"
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"

    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)

    assert process.returncode == 130
    assert (project / "out.txt").read_text() == "made\n"


def test_what_could_not_be_brought_back_is_no_success(terminal: Terminal):
    project = terminal.cwd / "project"
    project.mkdir()
    (project / "out").write_text("a file is in the way")

    done = terminal.run("run", "--sync", "project", "--", "sh", "-c", "rm out; mkdir out; echo made > out/x")

    assert done.returncode == 125
    assert b"failed: " in done.stderr
    assert (project / "out").read_text() == "a file is in the way"


def test_sync_back_needs_a_folder(terminal: Terminal):
    done = terminal.run("run", "--sync-back", "*.pt", "--", "true")

    assert done.returncode == 125
    assert b"name the folder with --sync" in done.stderr
