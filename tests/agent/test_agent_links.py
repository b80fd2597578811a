"""Links to the agent: how they begin, what a drop costs (nothing), and how they end."""

from __future__ import annotations

import hashlib
import os
import random
import re
import select
import signal
import socket
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from agent_client import PATIENCE_S, Client, Place, RefusedError

from devboxgpu.agent import handshake

Connect = Callable[..., Client]


@pytest.mark.parametrize("way", ["socket", "pty"])
@pytest.mark.parametrize("found", ["raw", "base64"])
def test_both_ways_are_probed_or_said(connect: Connect, way: str, found: str) -> None:
    probed = connect(way=way, input="probe", output="probe")
    said = connect(way=way, input=found, output=found)

    assert probed.answer["input"] == "raw"
    assert said.answer["input"] == found
    for client in (probed, said):
        data = os.urandom(300_000)
        assert bytes(client.run("cat", data=data, program=f"of-{client.id}").out) == data


def test_a_way_that_damages_bytes_is_found_out(place: Place) -> None:
    client = Client(place)
    client._open()
    hello = {"v": 1, "link": client.id, "received": 0, "input": "probe", "output": "probe", "silence_s": None}
    client.write(handshake.line(hello))
    client.write(handshake.ladder(client.id).replace(b"\r", b"\n", 1))

    answer = client.read_answer()
    place.daemons.add(answer["pid"])

    assert answer["input"] == "base64"


def test_drops_in_a_row_leave_a_transcript_without_a_gap(connect: Connect) -> None:
    """Both directions are under way while the connection is closed, at whatever byte, again and again."""
    client = connect()
    dice = random.Random(8)
    data = os.urandom(3_000_000)
    talk = client.start("cat")
    talk.send(data, eof=True)

    for _ in range(25):
        for _ in range(dice.randrange(6)):
            client.step()
        client.drop()
        client.connect()
        assert client.answer["new"] is False
    client.until(lambda: talk.result is not None)

    assert hashlib.sha256(talk.out).digest() == hashlib.sha256(data).digest()
    assert talk.result == {"exit": 0}


def test_two_who_attach_at_once_find_one_agent(place: Place) -> None:
    clients = [Client(place) for _ in range(6)]
    threads = [threading.Thread(target=client.connect) for client in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_S)

    assert len({client.answer["pid"] for client in clients}) == 1


def test_a_newer_connection_of_a_link_ends_the_older(connect: Connect) -> None:
    client = connect()
    talk = client.start("cat")
    client.until(lambda: bool(talk.said("started")))
    older, front = client.fd, client.front

    client.connect()
    talk.send(b"on", eof=True)
    client.until(lambda: talk.result is not None)

    assert bytes(talk.out) == b"on"
    assert front.wait(PATIENCE_S) == 0
    assert select.select([older], [], [], PATIENCE_S)[0]
    os.close(older)


def test_a_killed_front_is_noticed_and_its_link_lives(connect: Connect) -> None:
    client = connect()
    talk = client.start("cat")
    client.until(lambda: bool(talk.said("started")))
    client.front.kill()
    client.drop()

    client.connect()
    talk.send(b"on", eof=True)
    client.until(lambda: talk.result is not None)

    assert bytes(talk.out) == b"on"


def test_a_killed_agent_is_told_as_an_unknown_link(connect: Connect, place: Place) -> None:
    client = connect()
    talk = client.start("cat")
    client.until(lambda: bool(talk.said("started")))
    os.kill(client.answer["pid"], signal.SIGKILL)
    client.drop()

    with pytest.raises(RefusedError) as refused:
        client.connect()

    assert refused.value.code == "LinkUnknown"
    assert Client(place).connect().answer["pid"] != client.answer["pid"]


def test_ends_that_do_not_fit_are_told_so(connect: Connect) -> None:
    client = connect()
    client.run("echo", "x")
    client.drop()
    client.link.received += 1_000_000

    with pytest.raises(RefusedError) as refused:
        client.connect()

    assert refused.value.code == "LinkLost"


def test_good_bye_ends_the_link(connect: Connect) -> None:
    client = connect()

    assert client.ask({"what": "bye"}).result == {}
    assert client.front.wait(PATIENCE_S) == 0
    client.drop()
    with pytest.raises(RefusedError, match="LinkUnknown"):
        client.connect()


@pytest.mark.parametrize(
    "hello",
    [
        b"hello\n",
        b"%%%%\n",
        b"e30=\n",
        handshake.line({"v": 2}),
        handshake.line({"v": 1, "link": "../../x", "received": 0, "input": "raw", "output": "raw"}),
        handshake.line({"v": 1, "link": "0" * 32, "received": -1, "input": "raw", "output": "raw"}),
        handshake.line({"v": 1, "link": "0" * 32, "received": 0, "input": "loud", "output": "raw"}),
        handshake.line({"v": 1, "link": "0" * 32, "received": 0, "input": "raw", "output": "raw", "silence_s": -3}),
        b"A" * 10_000,
    ],
)
def test_a_damaged_hello_is_told_so_and_harms_nobody(connect: Connect, place: Place, hello: bytes) -> None:
    other = connect()
    client = Client(place)
    client._open()
    client.write(hello)

    with pytest.raises(RefusedError) as refused:
        client.read_answer()

    assert refused.value.code == "HelloDamaged"
    assert client.front.wait(PATIENCE_S) == 0
    assert bytes(other.run("echo", "well").out) == b"well\n"


def test_damaged_packets_end_their_link_only(connect: Connect) -> None:
    other, client = connect(), connect()
    client.write(b"\0nothing of ours\0")
    assert client.front.wait(PATIENCE_S) == 0

    assert bytes(other.run("echo", "well").out) == b"well\n"


def unsafe_by_mode(place: Place) -> None:
    place.directory.chmod(0o755)


def unsafe_by_link(place: Place) -> None:
    real = place.directory.with_name("real")
    place.directory.rename(real)
    place.directory.symlink_to(real)


def unsafe_by_owner(place: Place) -> None:
    os.chown(place.directory, 12345, -1)


@pytest.mark.parametrize("make_unsafe", [unsafe_by_mode, unsafe_by_link, unsafe_by_owner])
def test_a_directory_that_is_not_the_users_alone_is_refused(place: Place, make_unsafe: Callable[[Place], None]) -> None:
    if make_unsafe is unsafe_by_owner and os.getuid() != 0:
        pytest.skip("only root can give a directory away")
    make_unsafe(place)

    with pytest.raises(RefusedError) as refused:
        Client(place).connect()

    assert refused.value.code == "UnsafeDirectory"
    assert not list(place.directory.glob("*.sock"))


def test_it_says_how_it_is_used(place: Place) -> None:
    ours, its = socket.socketpair()
    with ours, its:
        assert place.start_front(its.fileno(), "dance").wait(PATIENCE_S) == 2


def test_it_leaves_the_mode_of_new_files_to_the_container(connect: Connect) -> None:
    expected = re.search(r"^Umask:\s*(\d+)", Path("/proc/1/status").read_text(), re.MULTILINE)
    before = os.umask(0o077)
    try:
        client = connect()
    finally:
        os.umask(before)

    assert expected is not None
    assert bytes(client.run("sh", "-c", "umask").out).decode().strip() == expected.group(1)
