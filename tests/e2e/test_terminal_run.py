"""Commands and copies beside a shell: streams, signals, exit codes, files, ports, folders, and no terminal at all."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import urllib.request

import pytest

from tests.e2e.command_line import ATTACHED, COMMAND, ROOT
from tests.e2e.waiting import until

MEBIBYTE = 2**20
TEES = """
import sys
while data := sys.stdin.buffer.read(65536):
    sys.stdout.buffer.write(data)
    sys.stderr.buffer.write(data[::-1])
sys.exit(77)
"""


def test_run_carries_20_mebibytes_both_ways_with_its_streams_apart_and_its_exit_code(line, tmp_path):
    data = os.urandom(20 * MEBIBYTE)
    (tmp_path / "data").write_bytes(data)
    script = tmp_path / "tees.py"
    script.write_text(TEES)
    command = f"'{COMMAND}' run -- python3 {script} < data > out 2> err"

    done = subprocess.run(["sh", "-c", command], cwd=tmp_path, env=line.environment, check=False, timeout=200)

    assert done.returncode == 77, (tmp_path / "err").read_bytes()[-500:]
    assert (tmp_path / "out").read_bytes() == data
    errors = (tmp_path / "err").read_bytes()
    backwards = b"".join(data[at : at + 65536][::-1] for at in range(0, len(data), 65536))
    assert backwards in errors
    said = errors.replace(backwards, b"").decode()
    assert "exit 77" in said
    assert "\x1b" not in said, "no terminal: nothing is painted"


@pytest.mark.parametrize(
    ("number", "script", "code"),
    [
        (signal.SIGINT, "trap 'echo caught; exit 5' INT; echo be''gun; while :; do sleep 0.05; done", 5),
        (signal.SIGTERM, "echo be''gun; exec sleep 1000", 128 + signal.SIGTERM),
    ],
)
def test_signals_reach_the_remote_command(line, number, script, code):
    run = subprocess.Popen(
        [str(COMMAND), "run", "--", "sh", "-c", script],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=ROOT,
        env=line.environment,
    )
    assert run.stdout is not None
    assert run.stdout.readline() == b"begun\n"

    run.send_signal(number)

    printed, errors = run.communicate(timeout=90)
    assert run.returncode == code, errors
    assert printed == (b"caught\n" if number == signal.SIGINT else b"")


def test_copies_ports_and_the_doctor_beside_a_shell(line, tmp_path):
    up, down = tmp_path / "up", tmp_path / "down"
    (up / "deep" / "er").mkdir(parents=True)
    (up / "big").write_bytes(os.urandom(20 * MEBIBYTE))
    (up / "deep" / "er" / "漢字 é").write_bytes(b"wide\n")
    (up / "deep" / "empty").mkdir()
    (up / "deep" / "link").symlink_to("er")
    with line.shell_on_screen() as terminal:
        there = line.run("cp", str(up), ":there")
        assert there.returncode == 0, there.stderr
        terminal.enter("sha256sum there/big; ls there/deep")
        terminal.expect(hashlib.sha256((up / "big").read_bytes()).hexdigest())
        back = line.run("cp", ":there", str(down))
        assert back.returncode == 0, back.stderr
        same = subprocess.run(["diff", "-r", "--no-dereference", str(up), str(down)], check=False, capture_output=True)
        assert same.returncode == 0, same.stdout

        terminal.enter("cd there; python3 -m http.server 0 --bind 127.0.0.1")
        terminal.expect("http://127.0.0.1:")
        until(lambda: "/) ..." in terminal.plain, "the server's port")
        port = terminal.plain.split("http://127.0.0.1:")[1].split("/")[0]
        forward = subprocess.Popen(
            [str(COMMAND), "forward", f"0:{port}"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=ROOT,
            env=line.environment,
            text=True,
        )
        assert forward.stdout is not None
        here = forward.stdout.readline().split(":")[-1].split()[0].strip("/")
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(f"http://127.0.0.1:{here}/big", timeout=90) as answer:
            assert hashlib.sha256(answer.read()).digest() == hashlib.sha256((up / "big").read_bytes()).digest()
        terminal.expect('"GET /big HTTP/1.1" 200')
        forward.send_signal(signal.SIGINT)
        assert forward.wait(90) == 0

        doctor = line.run("doctor", "--paste")
        assert doctor.returncode == 0, doctor.stdout
        assert line.person.name not in doctor.stdout
        terminal.type("\x03")
        terminal.expect("ready> ")
        terminal.enter("exit")
        terminal.exit_code()


def test_a_folder_goes_along_and_what_is_new_comes_back_whatever_the_exit_code(line, tmp_path):
    folder = tmp_path / "work"
    (folder / ".git").mkdir(parents=True)
    (folder / ".git" / "config").write_text("mine")
    (folder / "in").write_bytes(os.urandom(MEBIBYTE))
    script = "ls -A; mkdir results; sha256sum < in > results/sum; exit 6"

    done = line.run_bytes("run", "--sync", str(folder), "--", "sh", "-c", script)

    assert done.returncode == 6, done.stderr
    assert done.stdout == b"in\n"
    expected = hashlib.sha256((folder / "in").read_bytes()).hexdigest()
    assert (folder / "results" / "sum").read_text() == f"{expected}  -\n"
    assert (folder / ".git" / "config").read_text() == "mine"


@pytest.mark.parametrize("variables", [{"TERM": "dumb"}, {"NO_COLOR": "1"}])
def test_a_plain_terminal_gets_plain_lines_and_the_same_shell(line, variables):
    with line.terminal("shell", **variables) as terminal:
        terminal.expect(ATTACHED)
        ours = terminal.printed.split(ATTACHED.encode())[0]
        terminal.enter("echo it-is-$((6*7)); exit 9")
        terminal.expect("it-is-42")
        terminal.expect("exit 9")
        assert terminal.exit_code() == 9
        assert b"\x1b" not in ours
        assert b"\x1b]" not in terminal.printed, "no title"
