"""What a program has printed, for readers who take nothing over, and programs that nobody looks on at."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from agent_client import Client, Place, Talk
from hypothesis import given, settings
from hypothesis import strategies as st

from devboxgpu.agent.output import Kept, Ring
from devboxgpu.agent.spool import Spool

Connect = Callable[..., Client]
KEEPS = 16 * 1024


def log(client: Client, *, offset: int = 0, follow: bool = False, program: str = "p") -> Talk:
    return client.open({"what": "log", "program": program, "offset": offset, "follow": follow})


def detached(client: Client, script: str, data: bytes = b"") -> Talk:
    """A program that goes on by itself once its input has ended."""
    talk = client.start("sh", "-c", script, detached=True, lossy=True)
    talk.send(data, eof=True)
    client.until(lambda: bool(talk.said("started")))
    return talk


@pytest.mark.parametrize("kind", ["ring", "spool"])
@given(
    writes=st.lists(st.tuples(st.integers(0, 3000), st.booleans(), st.integers(0, 4000)), max_size=40),
    offset=st.integers(0, 3000),
)
@settings(deadline=None, max_examples=60)
def test_a_reader_gets_all_from_its_offset_or_is_told_what_is_missing(
    kind: str, writes: list[tuple[int, bool, int]], offset: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    kept: Kept = Ring(KEEPS) if kind == "ring" else Spool(str(tmp_path_factory.getbasetemp()), "p", KEEPS)
    everything, errors, place = b"", [], offset
    reader = kept.reader(offset)
    for size, is_error, to_take in [*writes, (offset, False, 0), (1, False, KEEPS * 4)]:
        data = bytes((len(everything) + number) % 251 for number in range(size))
        everything += data
        errors += [is_error and kind == "spool"] * size
        if data:
            kept.append(data, is_error=is_error)
        while to_take > 0 and (piece := reader.take(to_take)) is not None:
            place += reader.skipped
            reader.skipped = 0
            assert piece.data == everything[place : place + len(piece.data)]
            assert set(errors[place : place + len(piece.data)]) == {piece.is_error}
            place += len(piece.data)
            to_take -= len(piece.data)
            assert reader.offset == place
    assert place == len(everything)
    kept.close()


def test_several_read_at_once_and_the_one_who_looks_on_loses_nothing(connect: Connect) -> None:
    client = connect()
    program = client.start("sh", "-c", "echo one; echo two >&2; read line; echo $line; exit 3", lossy=True)
    client.until(lambda: program.err == b"two\n")
    first, second = log(client, follow=True), log(client, offset=2, follow=True)
    client.until(lambda: len(first.out) + len(first.err) == 8 and len(second.out) + len(second.err) == 6)

    program.send(b"three\n", eof=True)
    client.until(lambda: all(talk.result is not None for talk in (program, first, second)))

    assert (bytes(program.out), bytes(program.err), program.result) == (b"one\nthree\n", b"two\n", {"exit": 3})
    assert (bytes(first.out), bytes(first.err)) == (b"one\nthree\n", b"two\n")
    assert bytes(second.out) + bytes(second.err) == b"e\nthree\ntwo\n"
    assert first.result == second.result == {"exit": 3, "offset": 14}


def test_a_log_of_now_says_where_to_go_on(connect: Connect) -> None:
    client = connect()
    program = client.start("sh", "-c", "echo one; read line", terminal=True)
    client.until(lambda: b"one" in program.out)

    talk = log(client)
    client.until(lambda: talk.result is not None)

    assert talk.result == {"exit": None, "offset": len(talk.out)}
    assert bytes(talk.out) == b"one\r\n"


def test_what_was_let_go_before_it_was_read_is_told(connect: Connect) -> None:
    client = connect()
    detached(client, "head -c 70000000 /dev/zero; exit 4")
    program = log(client, follow=True)
    client.until(lambda: program.result is not None)

    late = log(client)
    client.until(lambda: late.result is not None)

    assert sum(late.said("skipped")) + len(late.out) == 70_000_000
    assert sum(late.said("skipped")) > 0
    assert late.result == {"exit": 4, "offset": 70_000_000}


def test_a_detached_program_takes_its_input_to_the_end_and_goes_on_without_its_starter(connect: Connect) -> None:
    starter = connect()
    talk = detached(starter, "cat; sleep 0.3; echo done; exit 3", b"x" * 3_000_000)
    talk.channel.message({"detach": True})
    starter.until(lambda: talk.result is not None)
    assert talk.result == {"detached": True}
    assert talk.out == b""
    assert starter.ask({"what": "bye"}).result == {}

    other = connect()
    reading = log(other, follow=True)
    other.until(lambda: reading.result is not None)

    assert bytes(reading.out) == b"x" * 3_000_000 + b"done\n"
    assert reading.result == {"exit": 3, "offset": 3_000_005}


def test_half_of_an_input_is_not_taken_for_all_of_it(connect: Connect) -> None:
    starter = connect()
    talk = starter.start("sh", "-c", "cat; echo all", detached=True)
    talk.send(b"half")
    starter.until(lambda: bool(talk.said("started")))
    starter.ask({"what": "bye"})

    other = connect()
    programs: list[object] = [None]

    def gone() -> bool:
        programs[:] = other.ask({"what": "status"}).said("programs")[0]
        return not programs

    other.until(gone)


def test_a_result_that_somebody_took_can_still_be_read_and_what_is_unknown_is_said(connect: Connect) -> None:
    client = connect()
    client.run("sh", "-c", "exit 7")

    assert log_result(client, "p") == {"exit": 7, "offset": 0}
    assert log_result(client, "q")["error"]["code"] == "ProgramUnknown"
    waits = client.start("cat", program="r")
    client.until(lambda: bool(waits.said("started")))
    assert log_result(client, "r")["error"]["code"] == "NothingKept"


def log_result(client: Client, program: str) -> dict[str, Any]:
    talk = log(client, program=program)
    client.until(lambda: talk.result is not None)
    assert talk.result is not None
    return talk.result


def test_who_reads_can_signal_the_program(connect: Connect) -> None:
    client = connect()
    detached(client, "trap 'echo caught; exit 5' INT; echo ready; while :; do sleep 0.05; done")
    reading = log(client, follow=True)
    client.until(lambda: b"ready" in reading.out)

    reading.channel.message({"signal": "INT"})
    client.until(lambda: reading.result is not None)

    assert bytes(reading.out) == b"ready\ncaught\n"
    assert reading.result == {"exit": 5, "offset": 13}


def test_the_agents_directory_may_have_a_long_name(tmp_path: Path) -> None:
    root = tmp_path / ("long-" * 20)
    root.mkdir()
    place = Place(root)
    try:
        assert Client(place).connect().run("echo", "here").out == b"here\n"
        assert Client(place).connect().run("echo", "again").out == b"again\n"
    finally:
        place.clean_up()
