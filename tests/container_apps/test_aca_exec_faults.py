"""How exec may spoil what passes through it: the ways that a client must find out by trying."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import websockets
from aca_harness import LocalCloud, connect

EVERY_BYTE = bytes(range(256))
ECHO = "sh -c 'stty raw -echo; echo ready; exec cat'"


def talk(cloud: LocalCloud, command: str, *typed: str | bytes, until: int) -> tuple[bytes, int, int | None]:
    """Type frames once the program has answered; return what it wrote, in how many frames, and the close code.

    At most `until` bytes of output are waited for.
    """
    url = str(cloud.running_replica("dbg-one").properties.containers[0].exec_endpoint)
    token = cloud.token("dbg-one")

    async def session() -> tuple[bytes, int, int | None]:
        output, count = b"", 0
        async with asyncio.timeout(30), connect(url, token, command) as socket:
            try:
                while len(output) < until:
                    frame = await socket.recv()
                    if frame[:1] != b"\0":
                        continue
                    output, count = output + frame[2:], count + 1
                    if output == b"ready\n":
                        for one in typed:
                            await socket.send(one)
            except websockets.ConnectionClosed:
                return output, count, socket.close_code
            return output, count, None

    return asyncio.run(session())


def keys(data: bytes) -> bytes:
    return b"\0\0" + data


@pytest.fixture
def app(cloud: LocalCloud) -> Any:
    cloud.run_app("dbg-one")
    return cloud


def test_exec_drops_after_some_frames_in_either_direction(app: LocalCloud) -> None:
    app.faults(exec_drop_after={"value": {"frames": 2}, "count": 1})
    output, _, closed = talk(app, ECHO, keys(b"one"), keys(b"two"), until=1000)
    assert (output, closed) == (b"ready\n", 1006)

    output, _, closed = talk(app, ECHO, keys(b"one"), keys(b"two"), until=len("ready\nonetwo"))
    assert (output, closed) == (b"ready\nonetwo", None)


def test_exec_of_text_only_closes_at_binary_input_and_takes_text(app: LocalCloud) -> None:
    app.faults(exec_text_only=True)

    assert talk(app, ECHO, keys(b"one"), until=1000)[2] == 1003
    assert talk(app, ECHO, keys(b"one").decode(), until=len("ready\none"))[0] == b"ready\none"


def test_exec_that_is_not_clean_spoils_what_is_no_text_and_nothing_else(app: LocalCloud) -> None:
    clean = b"ready\n" + EVERY_BYTE
    assert talk(app, ECHO, keys(EVERY_BYTE), until=len(clean))[0] == clean
    app.faults(exec_not_clean=True)
    spoilt = b"ready\n" + EVERY_BYTE[:128] + "\ufffd".encode() * 128

    assert talk(app, ECHO, keys(EVERY_BYTE), until=len(spoilt))[0] == spoilt
    assert talk(app, ECHO, keys("héllo".encode()), until=len("ready\n") + 6)[0] == "ready\nhéllo".encode()


def test_a_container_without_python_has_everything_else(cloud: LocalCloud) -> None:
    cloud.faults(no_python={"value": True, "app": "dbg-one"})
    cloud.run_app("dbg-one")
    cloud.run_app("dbg-two")

    assert cloud.exec_in("dbg-one", "python3 -c pass").exit_code == 127
    assert "not found" in cloud.exec_in("dbg-one", "python3 -c pass").output
    assert cloud.exec_in("dbg-one", "sh -c 'nvidia-smi >/dev/null'").exit_code == 0
    assert cloud.exec_in("dbg-two", "python3 -c pass").exit_code == 0
