"""Connections that break, tokens that run out, laptops that sleep, agents that are killed: what a person sees of it."""

from __future__ import annotations

import asyncio
import hashlib
import os
import signal
from datetime import UTC, datetime

import pytest

from devboxgpu.configuration import load
from devboxgpu.connector import Connector
from tests.e2e.command_line import says_on
from tests.e2e.waiting import pause, until

ANSWERS = """
import sys
for line in sys.stdin:
    print(line.upper() * 300, end="", flush=True)
print("all of it", file=sys.stderr)
sys.exit(9)
"""
QUESTIONS = [f"question {number} of 漢字 \x00\x7f\n".encode() for number in range(2)]
ANSWERED = b"".join(question.upper() * 300 for question in QUESTIONS)
TOKEN_S = 1
MOST_FRAMES = 200
ENOUGH = 3
"""How many conversations in a row must have passed uncut: some have a frame more than others."""


async def conversation(link) -> tuple[bytes, bytes, object]:
    """A few lines, each asked when the one before has been answered; what was printed, and how it ended."""
    argv = ["python3", "-I", "-S", "-X", "utf8", "-c", ANSWERS]
    request = {"what": "program", "program": os.urandom(8).hex(), "argv": argv, "terminal": False, "env": {}}
    stream = await link.open(request)
    printed, errors = b"", b""
    for number, question in enumerate(QUESTIONS, start=1):
        await stream.write(question)
        while printed.count(b"\n") < 300 * number:
            printed += (await stream.read())[0]
    stream.eof()
    while (piece := await stream.read()) is not None:
        errors += piece[0]
    return printed, errors, await stream.result()


def test_a_connection_cut_at_each_frame_changes_nothing_of_a_conversation(line):
    """The n-th frame is the last of its connection: first on the way in, then for each n of a conversation."""
    shell = line.person.opened()
    control_plane = load(endpoint=None, project=None, environ=line.environment).control_plane()
    cut = "nowhere"

    def cut_after(frames: int) -> None:
        nonlocal cut
        cut = f"frame {frames}"
        line.stack.azure_faults(exec_drop_after={"value": {"frames": frames}, "count": 1})

    async def whole(connector: Connector) -> bool:
        """Whether the conversation's first connection was cut."""
        link = await connector.link()
        lost: list[str] = []
        link.on_lost = lost.append
        said = await conversation(link)
        await link.close()
        assert said == (ANSWERED, b"all of it\n", {"exit": 9}), f"cut at {cut}"
        return bool(lost)

    async def each() -> int:
        for frames in (1, 3, 8):
            cut_after(frames)
            await whole(Connector(control_plane, shell.id))
        connector, cuts, spared = Connector(control_plane, shell.id), 0, 0
        await whole(connector)  # the ladder is climbed, and from here on frames are few
        for frames in range(1, MOST_FRAMES):
            cut_after(frames)
            was_cut = await whole(connector)
            cuts, spared = cuts + was_cut, 0 if was_cut else spared + 1
            if cuts and spared >= ENOUGH:
                return cuts
        raise AssertionError(f"{MOST_FRAMES} frames, and no end")

    cuts = asyncio.run(asyncio.wait_for(each(), 300))
    assert cuts >= 2 * len(QUESTIONS)
    shell.close()


def test_tokens_run_out_connections_idle_and_break_and_the_same_shell_goes_on(line):
    line.stack.azure_faults(token_ttl=TOKEN_S, exec_idle_drop=2)
    with line.shell_on_screen() as terminal:
        terminal.enter("mark=kept-$$")
        for number in range(2):
            pause(TOKEN_S + 0.1)
            assert line.stack.cut_connections() <= 1
            says_on(terminal, number)
        terminal.enter("seq -f 'row-%06g' 20000; echo $mark-$((6*7)); [ $mark = kept-$$ ] && echo sa''me")
        while line.stack.cut_connections() == 0:
            pass
        terminal.expect("same")
        rows = terminal.plain.split("seq -f")[1]
        assert [row for row in rows.split() if row.startswith("row-0")] == [f"row-{n:06}" for n in range(1, 20001)]
        terminal.enter("exit 6")
        assert terminal.exit_code() == 6


def test_a_laptop_that_sleeps_longer_than_connections_last_wakes_in_the_same_shell(line):
    line.stack.azure_faults(exec_idle_drop=1)
    with line.shell_on_screen() as terminal:
        terminal.enter("mark=kept")
        says_on(terminal, 1)
        terminal.kill(signal.SIGSTOP)
        until(lambda: line.stack.connections() == 0, "the connection to be dropped")
        terminal.enter("echo still-$mark")
        terminal.kill(signal.SIGCONT)
        terminal.expect("still-kept")
        terminal.enter("exit")
        assert terminal.exit_code() == 0


def now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


@pytest.mark.parametrize("busy", [False, True])
def test_a_laptop_that_sleeps_past_its_lease_keeps_a_busy_session_within_the_grace_and_loses_a_quiet_one(line, busy):
    grace = 5 if busy else 0.01
    line.stack.settings({"idle": {"timeoutMinutes": 30, "graceMinutes": grace}})
    with line.shell_on_screen() as terminal:
        session = line.session()
        if busy:
            (line.stack.replica_folder(session["id"]) / "gpu" / "utilization").write_text("90\n")
        terminal.kill(signal.SIGSTOP)
        lease = line.session()["shells"][0]["leaseExpiresAt"]
        if busy:
            until(lambda: now() > lease, "the lease to lapse")
            terminal.kill(signal.SIGCONT)
            says_on(terminal, 4)
            terminal.enter("exit")
            assert terminal.exit_code() == 0
            return
        assert line.session("Ended")["endReason"] == "LeaseLapsed"
        terminal.kill(signal.SIGCONT)
        terminal.expect("had not heard from this command for too long")
        terminal.expect("exit 125")
        assert terminal.exit_code() == 125


def test_a_killed_agent_ends_the_command_with_125_and_says_what_is_gone(line):
    with line.shell_on_screen() as terminal:
        terminal.enter("kill -9 $PPID")
        terminal.expect("the agent in the container has ended")
        terminal.expect("exit 125")
        assert terminal.exit_code() == 125


@pytest.mark.parametrize("fault", ["no_python", "exec_text_only", "exec_not_clean"])
def test_containers_without_python_and_ways_that_spoil_bytes_give_a_shell_all_the_same(line, fault):
    line.stack.azure_faults(**{fault: True})
    words = "é漢字🙂" * 100
    with line.shell_on_screen() as terminal:
        assert ("no agent in this container" in terminal.plain) == (fault == "no_python")
        terminal.enter(f"printf %s '{words}' | sha256sum")
        terminal.expect(hashlib.sha256(words.encode()).hexdigest())
        terminal.resize(91, 27)
        terminal.enter("stty size; echo said-$((6*7))")
        terminal.expect("said-42")
        assert "27 91" in terminal.text
        terminal.enter("exit 8")
        assert terminal.exit_code() == 8
    data = os.urandom(300_000)
    done = line.run_bytes("run", "--", "sh", "-c", "cat; exit 3", data=data)
    assert (done.returncode, hashlib.sha256(done.stdout).digest()) == (3, hashlib.sha256(data).digest()), done.stderr
