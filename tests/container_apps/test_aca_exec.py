from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
import websockets
from aca_harness import (
    LocalCloud,
    body,
    connect,
    exec_once,
    is_running,
    processes_with,
    resize_frame,
    wait_until,
)
from hypothesis import given
from hypothesis import strategies as st

from localcloud.container_apps import frames


def exec_url(cloud: LocalCloud, name: str) -> str:
    return str(cloud.running_replica(name).properties.containers[0].exec_endpoint)


def handshake_status(url: str, token: str) -> int:
    async def attempt() -> int:
        try:
            async with connect(url, token, "sh"):
                return 101
        except websockets.InvalidStatus as refusal:
            return refusal.response.status_code

    return asyncio.run(attempt())


def on_socket(cloud: LocalCloud, name: str, command: str, talk: Callable[[Any], Coroutine[Any, Any, Any]]) -> Any:
    url, token = exec_url(cloud, name), cloud.token(name)

    async def session() -> Any:
        async with asyncio.timeout(30), connect(url, token, command) as socket:
            return await talk(socket)

    return asyncio.run(session())


async def read_until(socket: Any, text: str) -> str:
    seen = ""
    while text not in seen:
        frame = await socket.recv()
        assert isinstance(frame, bytes)
        if frame[:1] == b"\0":
            seen += frame[2:].decode()
    return seen


def test_a_stock_client_types_into_a_shell_and_gets_its_exit_code(cloud: LocalCloud) -> None:
    cloud.run_app("dbg-one")

    seen = cloud.exec_in("dbg-one", "sh", "stty size\n", "exit 3\n", size=(123, 45))

    assert seen.infos[0] == "Connecting to the container 'shell'..."
    assert seen.infos[1].startswith("Successfully connected")
    assert "45 123" in seen.output
    assert (seen.exit_code, seen.close_code) == (3, 1000)
    assert '"Code": "ClusterExecFailure"' in seen.error
    assert seen.opcodes == {"binary"}


def test_an_end_with_zero_is_a_plain_close(cloud: LocalCloud) -> None:
    cloud.run_app("dbg-one")

    seen = cloud.exec_in("dbg-one", "echo 'two words'  third")

    assert seen.output == "two words third\r\n"
    assert (seen.error, seen.exit_code, seen.close_code) == ("", 0, 1000)


def test_death_by_a_signal_counts_as_128_and_more(cloud: LocalCloud) -> None:
    cloud.run_app("dbg-one")

    assert cloud.exec_in("dbg-one", "sh -c 'kill -9 $$'").exit_code == 137


def test_binary_input_and_control_characters_are_taken(cloud: LocalCloud) -> None:
    cloud.run_app("dbg-one")

    seen = cloud.exec_in("dbg-one", "cat", "grüße\n".encode(), b"\x04")
    assert seen.output.count("grüße") == 2
    assert seen.exit_code == 0

    async def interrupt(socket: Any) -> str:
        await socket.send(b"\x00\x00trap 'echo caught; exit 9' INT; echo re''ady; while :; do sleep 1; done\n")
        await read_until(socket, "ready")
        await socket.send("\x00\x00\x03")
        return await read_until(socket, "caught")

    assert "caught" in on_socket(cloud, "dbg-one", "sh", interrupt)


def test_every_further_resize_reaches_the_program(cloud: LocalCloud) -> None:
    cloud.run_app("dbg-one")

    async def resize(socket: Any) -> None:
        await read_until(socket, "ready")
        for columns, rows in ((100, 30), (200, 50)):
            await socket.send(resize_frame(columns, rows))
            await read_until(socket, f"{columns} {rows}")

    program = (
        "import os, signal, time; signal.signal(signal.SIGWINCH, lambda *_: print(*os.get_terminal_size()));"
        'print("ready"); [time.sleep(0.05) for _ in range(900)]'
    )
    on_socket(cloud, "dbg-one", f"python3 -uc '{program}'", resize)


def test_a_frame_that_makes_no_sense_is_answered_and_does_not_end_the_session(cloud: LocalCloud) -> None:
    cloud.run_app("dbg-one")

    async def confuse(socket: Any) -> list[bytes]:
        errors = []
        for nonsense in (b"\x07", b"\x00\x09x", b"\x00\x04{}", b'\x00\x04{"Width": -1, "Height": 1}'):
            await socket.send(nonsense)
            while not (frame := await socket.recv()).startswith(b"\x02"):
                pass
            errors.append(frame)
        await socket.send("\x00\x00echo st''ill here\n")
        await read_until(socket, "still here")
        return errors

    assert len(on_socket(cloud, "dbg-one", "sh", confuse)) == 4


def test_much_output_arrives_whole_and_in_order(cloud: LocalCloud) -> None:
    cloud.run_app("dbg-one")

    seen = cloud.exec_in("dbg-one", "seq 1 60000")

    assert seen.output.split() == [str(number) for number in range(1, 60001)]


def test_much_input_arrives_whole(cloud: LocalCloud) -> None:
    cloud.run_app("dbg-one")
    lines = b"".join(b"%06d\n" % number for number in range(20000))

    seen = cloud.exec_in(
        "dbg-one",
        "sh -c 'stty -echo; echo ready; wc -c'",
        *[lines[at : at + 2000] for at in range(0, len(lines), 2000)],
        b"\x04",
    )

    assert seen.output.split()[-1] == str(len(lines))


def test_a_command_that_is_not_there_is_an_error_frame(cloud: LocalCloud) -> None:
    cloud.run_app("dbg-one")

    for command in ("/no/such/program", "sh -c 'unbalanced"):
        seen = cloud.exec_in("dbg-one", command)
        assert "ClusterExecEndpointWebSocketConnectionError" in seen.error
        assert seen.exit_code is None


def test_exec_sees_the_environment_of_the_container(cloud: LocalCloud) -> None:
    cloud.run_app("dbg-one", body(container={"env": [{"name": "COLOUR", "value": "teal"}]}))

    output = cloud.exec_in("dbg-one", "sh -c 'echo $COLOUR $CONTAINER_APP_NAME; env | cut -d= -f1'").output

    assert output.startswith("teal dbg-one\r\n")
    assert "IDENTITY_HEADER" not in output
    assert "PYTHONPATH" not in output


def test_a_closed_socket_hangs_up_the_terminal(cloud: LocalCloud) -> None:
    cloud.run_app("dbg-one")
    word = f"86420{abs(hash(str(cloud.state))) % 10**8}"

    async def leave(socket: Any) -> list[int]:
        await read_until(socket, "ready")
        return processes_with(word)

    # What has not yet replaced dash in the background swallows a hang-up: so it is what says that it is ready.
    program = f'trap "touch hung-up; exit" HUP; sh -c "echo ready; exec sleep {word}" & wait'
    pids = on_socket(cloud, "dbg-one", f"sh -c '{program}'", leave)

    wait_until(lambda: not any(map(is_running, pids)))
    wait_until(lambda: cloud.exec_in("dbg-one", "ls").output.strip() == "hung-up")


def test_a_program_that_ignores_the_hang_up_is_killed(cloud: LocalCloud) -> None:
    cloud.run_app("dbg-one")
    word = f"86421{abs(hash(str(cloud.state))) % 10**8}"

    async def leave(socket: Any) -> list[int]:
        await asyncio.to_thread(wait_until, lambda: processes_with(word))
        return processes_with(word)

    pids = on_socket(cloud, "dbg-one", f"sh -c 'trap : HUP; while :; do sleep {word}; done'", leave)

    wait_until(lambda: not any(map(is_running, pids)))
    assert cloud.truth_of("dbg-one")["alive"], "the container itself goes on"


def test_a_client_that_leaves_while_its_program_does_not_read_is_noticed(cloud: LocalCloud) -> None:
    cloud.run_app("dbg-one")
    word = f"86422{abs(hash(str(cloud.state))) % 10**8}"

    async def paste_and_leave(socket: Any) -> list[int]:
        await read_until(socket, "ready")
        for _ in range(50):
            await socket.send(b"\0\0" + b"x" * 2000)
        return await asyncio.to_thread(wait_until, lambda: processes_with(word))

    pids = on_socket(cloud, "dbg-one", f"sh -c 'stty raw -echo; echo ready; sleep {word}'", paste_and_leave)

    wait_until(lambda: not any(map(is_running, pids)))


def test_a_client_that_vanishes_while_output_flows_is_noticed(cloud: LocalCloud) -> None:
    cloud.run_app("dbg-one")
    word = f"yes{abs(hash(str(cloud.state))) % 10**8}"

    async def vanish(socket: Any) -> list[int]:
        await read_until(socket, word)
        socket.transport.abort()
        return processes_with(word)

    pids = on_socket(cloud, "dbg-one", f"yes {word}", vanish)

    assert pids
    wait_until(lambda: not any(map(is_running, pids)))


def test_a_token_opens_only_the_app_that_it_was_made_for(cloud: LocalCloud) -> None:
    cloud.run_app("dbg-one")
    cloud.run_app("dbg-two")
    one, other = exec_url(cloud, "dbg-one"), cloud.token("dbg-two")

    assert handshake_status(one, cloud.token("dbg-one")) == 101
    assert handshake_status(one, other) == 401
    assert handshake_status(one, "forged") == 401
    assert handshake_status(one, "") == 401


def test_a_token_of_a_deleted_app_does_not_open_its_successor(cloud: LocalCloud) -> None:
    cloud.run_app("dbg-one")
    old_url, old_token = exec_url(cloud, "dbg-one"), cloud.token("dbg-one")
    cloud.gone("dbg-one")
    assert handshake_status(old_url, old_token) == 404
    cloud.run_app("dbg-one")

    assert handshake_status(exec_url(cloud, "dbg-one"), old_token) == 404


def test_what_is_not_there_is_refused_in_the_handshake(cloud: LocalCloud) -> None:
    cloud.run_app("dbg-one")
    url, token = exec_url(cloud, "dbg-one"), cloud.token("dbg-one")

    assert handshake_status(url.replace("/containers/shell/", "/containers/none/"), token) == 404
    assert handshake_status(url.replace("/replicas/dbg", "/replicas/none"), token) == 404
    assert handshake_status(f"{cloud.exec.replace('http', 'ws')}/elsewhere", token) == 404


def test_a_replica_that_does_not_run_answers_500_to_the_handshake(cloud: LocalCloud) -> None:
    cloud.capacity(restartSeconds=1000)
    cloud.run_app("dbg-one", body(command=["sh", "-c", "sleep 0.3; exit 1"]))
    url, token = exec_url(cloud, "dbg-one"), cloud.token("dbg-one")

    wait_until(lambda: handshake_status(url, token) == 500)


def test_pings_are_answered(cloud: LocalCloud) -> None:
    cloud.run_app("dbg-one")

    async def ping(socket: Any) -> bool:
        await (await socket.ping())
        return True

    assert on_socket(cloud, "dbg-one", "sh", ping)


def test_deleting_the_app_ends_its_open_sessions(cloud: LocalCloud) -> None:
    cloud.run_app("dbg-one")
    url, token = exec_url(cloud, "dbg-one"), cloud.token("dbg-one")

    async def watch() -> Any:
        session = asyncio.create_task(exec_once(url, token, "sleep 1000"))
        await asyncio.to_thread(wait_until, lambda: len(cloud.truth_of("dbg-one")["pids"]) > 2)
        await asyncio.to_thread(cloud.gone, "dbg-one")
        return await session

    assert asyncio.run(watch()).exit_code in {129, 137, 143}


@given(st.binary())
def test_any_input_passes_through_its_frame_unchanged(data: bytes) -> None:
    assert frames.read_frame(b"\0\0" + data) == frames.Input(data)


@given(st.binary())
def test_a_frame_is_understood_or_refused_never_anything_else(data: bytes) -> None:
    with contextlib.suppress(frames.FrameNotUnderstood):
        assert isinstance(frames.read_frame(data), frames.Input | frames.Resize)


@pytest.mark.parametrize(("columns", "rows"), [(1, 1), (80, 24), (65535, 65535)])
def test_a_resize_is_read_from_its_pascal_case_json(columns: int, rows: int) -> None:
    assert frames.read_frame(resize_frame(columns, rows).encode()) == frames.Resize(columns, rows)
