"""Programs that the agent runs: their bytes, their ends, who looks on, and what becomes of them when nobody does."""

from __future__ import annotations

import hashlib
import os
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from agent_client import Client, Place

MIB = 1024 * 1024
Connect = Callable[..., Client]


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.mark.parametrize(
    ("argv", "code"),
    [
        (["true"], 0),
        (["sh", "-c", "exit 3"], 3),
        (["/etc/passwd"], 126),
        (["no-such-program"], 127),
        (["sh", "-c", "kill -TERM $$"], 128 + 15),
        (["sh", "-c", "kill -KILL $$"], 128 + 9),
    ],
)
@pytest.mark.parametrize("terminal", [False, True])
def test_the_exit_code_is_the_programs_own(connect: Connect, argv: list[str], code: int, terminal: bool) -> None:
    talk = connect().run(*argv, terminal=terminal)

    assert talk.result == {"exit": code}
    assert (b"devboxgpu: " + argv[0].encode() in talk.err) is (code in (126, 127))


def test_output_and_errors_stay_apart_and_input_ends(connect: Connect) -> None:
    talk = connect().run("sh", "-c", "cat; echo wrong >&2; exit 5", data=b"line\n")

    assert (bytes(talk.out), bytes(talk.err), talk.result) == (b"line\n", b"wrong\n", {"exit": 5})


@pytest.mark.parametrize("way", ["socket", "pty"])
def test_twenty_mib_of_random_bytes_come_back_as_they_went(connect: Connect, way: str) -> None:
    data = os.urandom(20 * MIB)

    talk = connect(way=way).run("cat", data=data)

    assert hashlib.sha256(talk.out).digest() == hashlib.sha256(data).digest()
    assert talk.result == {"exit": 0}


def test_a_terminal_program_passes_random_bytes_both_ways(connect: Connect) -> None:
    """On a pty within a pty, both raw."""
    data = os.urandom(20 * MIB)
    client = connect(way="pty")
    talk = client.start("sh", "-c", f"stty raw -echo; echo ready; head -c {len(data)}", terminal=True)
    client.until(lambda: b"ready" in talk.out)
    del talk.out[:]
    client.for_a_while(0.1)
    del talk.out[:]

    talk.send(data)
    client.until(lambda: talk.result is not None)

    assert not talk.said("skipped")
    assert hashlib.sha256(talk.out).digest() == hashlib.sha256(data).digest()


def test_wide_characters_split_at_every_byte_arrive_whole(connect: Connect) -> None:
    text = "日✓🚀é\n"
    client = connect()
    talk = client.start("sh", "-c", "stty raw -echo; echo ready; cat", terminal=True)
    client.until(lambda: b"ready" in talk.out)
    del talk.out[:]

    for byte in text.encode():
        talk.send(bytes([byte]))
        client.step()
        client.drop()
        client.connect()
    client.until(lambda: text.encode() in talk.out)


def test_a_shell_starts_where_the_image_says_with_its_size_and_its_name(connect: Connect, place: Place) -> None:
    client = connect()
    talk = client.start(terminal=True, columns=91, rows=33)
    talk.send(b"stty size; pwd; echo $TERM; tty; exit 7\n")
    client.until(lambda: talk.result is not None)

    text = bytes(talk.out).decode()
    assert "33 91" in text
    assert str(place.work) in text
    assert "xterm-256color" in text
    assert "/dev/pts/" in text
    assert talk.result == {"exit": 7}


def test_a_resize_and_ctrl_c_reach_the_program(connect: Connect) -> None:
    client = connect()
    program = """
import os, signal, time
signal.signal(signal.SIGWINCH, lambda *_: os.write(1, repr(os.get_terminal_size()).encode()))
os.write(1, b"up")
time.sleep(60)
"""
    talk = client.start(sys.executable, "-c", program, terminal=True)
    client.until(lambda: b"up" in talk.out)

    talk.channel.message({"resize": [120, 50]})
    client.until(lambda: b"columns=120, lines=50" in talk.out)
    talk.send(b"\x03")
    client.until(lambda: talk.result is not None)

    assert b"KeyboardInterrupt" in talk.out


def test_a_signal_reaches_the_whole_group_of_a_piped_program(connect: Connect) -> None:
    client = connect()
    talk = client.start("sh", "-c", "sleep 60 & echo $!; wait")
    client.until(lambda: b"\n" in talk.out)
    child = int(talk.out)

    talk.channel.message({"signal": "NONSENSE"})
    talk.channel.message({"signal": "TERM"})
    client.until(lambda: talk.result is not None)

    assert talk.result == {"exit": 128 + 15}
    client.until(lambda: not is_alive(child))


def test_the_newer_terminal_takes_a_program_over(connect: Connect) -> None:
    first, second = connect(), connect()
    talk = first.start("sh", "-c", "echo before; read line; echo got $line; exit 4", terminal=True)
    first.until(lambda: b"before" in talk.out)

    other = second.open({"what": "program", "program": "p", "attach": True, "replay": 1000, "columns": 80, "rows": 24})
    second.until(lambda: b"before" in other.out)
    first.until(lambda: talk.result is not None)
    other.send(b"it\n")
    second.until(lambda: other.result is not None)

    assert talk.said("taken") == [True]
    assert talk.result == {"detached": True}
    assert b"got it" in other.out
    assert other.result == {"exit": 4}


def test_a_detached_program_runs_on_and_its_end_waits(connect: Connect) -> None:
    first = connect()
    talk = first.start("sh", "-c", "read go; echo $go; echo oops >&2; exit 9")
    talk.send(b"on\n")
    talk.channel.message({"detach": True})
    first.until(lambda: talk.result is not None)
    assert talk.result == {"detached": True}
    first.ask({"what": "bye"})

    second = connect()
    again = second.ask({"what": "program", "program": "p", "attach": True, "replay": MIB})

    assert again.result == {"exit": 9}
    gone = second.ask({"what": "program", "program": "p", "attach": True})
    assert gone.result is not None
    assert gone.result["error"]["code"] == "ProgramUnknown"


def test_what_a_detached_program_printed_is_replayed_apart(connect: Connect) -> None:
    first = connect()
    talk = first.start("sh", "-c", "echo on; echo oops >&2; sleep 0.3; echo off; exit 9", lossy=True)
    talk.channel.message({"detach": True})
    first.until(lambda: talk.result is not None)

    again = connect().ask({"what": "program", "program": "p", "attach": True, "replay": MIB})

    assert (bytes(again.out), bytes(again.err), again.result) == (b"on\noff\n", b"oops\n", {"exit": 9})


def test_good_bye_hangs_up_and_a_stubborn_program_is_killed(connect: Connect) -> None:
    client = connect()
    talks = [
        client.start("sh", "-c", "trap '' HUP; echo up; while :; do sleep 1; done", program=name, terminal=terminal)
        for name, terminal in (("piped", False), ("terminal", True))
    ]
    client.until(lambda: all(b"up" in talk.out for talk in talks))
    pids = [talk.said("started")[0] for talk in talks]

    client.ask({"what": "bye"})

    watcher = connect()
    watcher.until(lambda: not any(is_alive(pid) for pid in pids))
    assert watcher.ask({"what": "status"}).said("programs") == [[]]


def test_a_terminal_does_not_wait_for_ever_and_says_what_was_let_go(connect: Connect) -> None:
    client = connect()
    program = f"import sys; sys.stdout.write('x' * {12 * MIB}); print('the end')"
    talk = client.open(
        {"what": "program", "program": "p", "argv": [sys.executable, "-c", program], "terminal": True}, takes=False
    )
    client.until(lambda: bool(talk.said("started")))
    pid = talk.said("started")[0]
    client.until(lambda: not is_alive(pid))  # it ended although nobody took its output

    talk.take_again()
    client.until(lambda: talk.result is not None)

    assert talk.out.endswith(b"the end\r\n")
    assert len(talk.out) + sum(talk.said("skipped")) == 12 * MIB + len("the end\r\n")


def test_a_terminal_waits_for_who_takes_its_output_even_over_a_drop(connect: Connect) -> None:
    client = connect(way="pty")
    program = f"import sys; sys.stdout.write('x' * {12 * MIB}); print('the end')"
    talk = client.start(sys.executable, "-c", program, terminal=True)
    client.until(lambda: len(talk.out) > MIB)
    client.drop()
    client.connect()
    client.until(lambda: talk.result is not None)

    assert not talk.said("skipped")
    assert len(talk.out) == 12 * MIB + len("the end\r\n")


def test_a_piped_program_waits_for_who_looks_on_unless_it_is_lossy(connect: Connect) -> None:
    client = connect()
    program = f"import sys; sys.stdout.write('x' * {8 * MIB}); sys.stdout.flush(); print('done', file=sys.stderr)"
    requests = [
        {"what": "program", "program": name, "argv": [sys.executable, "-c", program], "lossy": name == "lossy"}
        for name in ("waits", "lossy")
    ]
    waits, lossy = (client.open(request, takes=False) for request in requests)
    client.until(lambda: bool(waits.said("started") and lossy.said("started")))
    client.until(lambda: not is_alive(lossy.said("started")[0]))
    assert is_alive(waits.said("started")[0])

    waits.take_again()
    lossy.take_again()
    client.until(lambda: waits.result is not None and lossy.result is not None)

    assert [len(talk.out) for talk in (waits, lossy)] == [8 * MIB, 8 * MIB]
    assert [bytes(talk.err) for talk in (waits, lossy)] == [b"done\n", b"done\n"]


def test_a_stalled_connection_holds_nobody_else_up(connect: Connect) -> None:
    stalled, lively = connect(), connect()
    stalled.start("yes", program="flood", terminal=True)
    stalled.step()
    deadline = time.monotonic() + 1

    while time.monotonic() < deadline:
        talk = lively.run("echo", "here", program=f"p{time.monotonic_ns()}")
        assert bytes(talk.out) == b"here\n"

    memory = Path(f"/proc/{lively.answer['pid']}/status").read_text()
    resident_kib = int(memory.partition("VmRSS:")[2].split()[0])
    assert resident_kib < 64 * 1024


def test_a_container_without_room_for_more_says_so(connect: Connect) -> None:
    client = connect()
    resource.prlimit(client.answer["pid"], resource.RLIMIT_NOFILE, (14, 14))

    result = client.ask({"what": "program", "program": "p", "argv": ["true"]}).result

    assert result is not None
    assert result["error"]["code"] == "OutOfResources"


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        ({"what": "program", "program": "../x", "argv": ["true"]}, "InvalidRequest"),
        ({"what": "program", "argv": ["true"]}, "InvalidRequest"),
        ({"what": "program", "program": "q", "argv": []}, "InvalidRequest"),
        ({"what": "program", "program": "q", "argv": ["a\0b"]}, "InvalidRequest"),
        ({"what": "program", "program": "q", "argv": ["true"], "env": {"A=B": "c"}}, "InvalidRequest"),
        ({"what": "program", "program": "q", "terminal": True, "columns": 0}, "InvalidRequest"),
        ({"what": "program", "program": "q", "attach": True}, "ProgramUnknown"),
        ({"what": "program", "program": "there", "argv": ["true"]}, "ProgramExists"),
        ({"what": "warn", "text": 3}, "InvalidRequest"),
        ({"what": "hook", "limit_s": "long"}, "InvalidRequest"),
        ({"what": "status", "every_s": -1}, "InvalidRequest"),
        ({"what": "dance"}, "UnknownRequest"),
        ({"what": ["program"]}, "UnknownRequest"),
    ],
)
def test_a_request_that_cannot_be_done_is_told_why(connect: Connect, request_: dict[str, object], code: str) -> None:
    client = connect()
    there = client.start("sleep", "60", program="there")
    client.until(lambda: bool(there.said("started")))

    result = client.ask(request_).result

    assert result is not None
    assert result["error"]["code"] == code
    assert result["error"]["message"]
