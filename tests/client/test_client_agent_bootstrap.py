"""From a fresh exec process to the agent, over a real pseudo-terminal and a real sh."""

from __future__ import annotations

import base64
import io
import os
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from fake_exec import FakeExec
from in_loop import in_loop

from devboxgpu.agent_bootstrap import NoAgentError, start_agent
from devboxgpu.agent_wire import BASE64, LADDER, RAW, Hello, LinkRefusedError, NoAnswerError, Ways, Wire, greet
from devboxgpu.exec_socket import DroppedError, ExecSocket, open_socket
from devboxgpu.incoming import Incoming
from devboxgpu.remote_command import READ_ONE_LINE
from devboxgpu.wire import ExecAccess

ENDPOINT = "/subscriptions/s/containers/shell/exec"
GREETER = """
import base64, json, sys
i, o = sys.stdin.buffer, sys.stdout.buffer
assert sys.argv[1] == "attach", sys.argv
hello = json.loads(base64.b64decode(i.readline()))
ladder = b""
if hello["input"] == "probe":
    while not ladder.endswith(b"\\nEND %s\\n" % hello["link"].encode()):
        ladder += i.read1(65536)
ok = ladder.startswith(bytes(range(256)) * 128)
way = hello["input"] if hello["input"] != "probe" else "raw" if ok else "base64"
answer = {ANSWER}
o.write(base64.b64encode(json.dumps(answer).encode()) + b"\\n")
o.flush()
if hello["output"] == "probe":
    o.write((bytes(range(256)) * 128) + b"\\nEND %s\\n" % hello["link"].encode())
    o.flush()
    i.readline()
while True:
    data = i.read1(65536)
    if not data:
        break
    o.write(b"got:" + data)
    o.flush()
"""
FITS = '{"v": 1, "received": 0, "input": way, "new": True}'


@dataclass
class Carried:
    data: bytes
    name: str = "agent-stub.pyz"


def carried(answer: str = FITS, *, program: str | None = None) -> Carried:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("__main__.py", program if program is not None else GREETER.replace("{ANSWER}", answer))
        archive.writestr("ballast", os.urandom(20_000))
    return Carried(file.getvalue())


@pytest.fixture
def exec_(tmp_path: Path) -> Iterator[FakeExec]:
    with FakeExec(tmp_path).running() as fake:
        fake.tokens.add("t")
        yield fake


async def opened(fake: FakeExec) -> tuple[ExecSocket, Incoming]:
    socket = await open_socket(ExecAccess(url=f"ws://127.0.0.1:{fake.port}{ENDPOINT}", token="t"), READ_ONE_LINE)
    return socket, Incoming(socket.output())


async def connected(fake: FakeExec, file: Carried, ways: Ways | None = None) -> Wire:
    socket, output = await opened(fake)
    await start_agent(socket, output, file)
    return await greet(socket, output, Hello(received=0, silence_s=None, ways=ways or Ways()))


@pytest.mark.parametrize("kind", ["dash", "bash"])
def test_the_agent_is_put_there_once_and_only_the_user_can_reach_it(exec_: FakeExec, kind: str) -> None:
    exec_.use_as_sh(kind)
    file = carried()

    @in_loop
    async def play() -> None:
        for _ in range(2):
            wire = await connected(exec_, file)
            await wire.send(b"packets")
            assert await anext(wire.incoming()) == b"got:packets"
            await wire.close()

    play()
    folder = exec_.temporary / f"devboxgpu-{os.getuid()}"
    assert folder.stat().st_mode & 0o777 == 0o700
    assert [path.name for path in folder.iterdir()] == [file.name]
    assert (folder / file.name).read_bytes() == file.data
    assert exec_.text_frames.count("\0\0" + base64.b64encode(file.data[:1533]).decode() + "\n") == 1


def test_a_clean_way_takes_large_binary_frames(exec_: FakeExec) -> None:
    ways = Ways()

    @in_loop
    async def play() -> None:
        wire = await connected(exec_, carried(), ways)
        await wire.send(LADDER * 2)
        await wire.close()

    play()

    assert (ways.input, ways.output) == (RAW, RAW)
    assert exec_.largest_frame == len(LADDER)


def test_a_service_that_closes_on_the_ladder_gets_base64(exec_: FakeExec) -> None:
    exec_.largest_binary = 4096
    ways = Ways()

    @in_loop
    async def play() -> None:
        with pytest.raises(DroppedError):
            await connected(exec_, carried(), ways)
        assert ways.input == BASE64
        wire = await connected(exec_, carried(), ways)
        await wire.send(b"\xff" * 5000)
        got = b""
        async for piece in wire.incoming():
            got += piece.replace(b"got:", b"")
            if got.count(b"\n") == 4:
                break
        assert b"".join(base64.b64decode(line) for line in got.split(b"\n")) == b"\xff" * 5000
        await wire.close()

    play()
    assert (ways.input, ways.output) == (BASE64, RAW)


def test_a_service_that_damages_binary_frames_gets_base64(exec_: FakeExec) -> None:
    exec_.damage_binary = True
    ways = Ways()

    @in_loop
    async def play() -> None:
        await (await connected(exec_, carried(), ways)).close()

    play()
    assert ways.input == BASE64


def _without_python(fake: FakeExec) -> None:
    tools = fake.home / "bin"
    tools.mkdir()
    for name in ("sh", "stty", "id", "mkdir", "chmod", "test"):
        (tools / name).symlink_to(f"/usr/bin/{name}")
    fake.path = str(tools)


def _with_old_python(fake: FakeExec) -> None:
    _without_python(fake)
    python = fake.home / "bin/python3"
    python.write_text("#!/bin/sh\nexit 1\n")
    python.chmod(0o755)


def _with_a_folder_of_somebody_else(fake: FakeExec) -> None:
    (fake.home / "elsewhere").mkdir()
    (fake.temporary / f"devboxgpu-{os.getuid()}").symlink_to(fake.home / "elsewhere")


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (_without_python, "there is no python3"),
        (_with_old_python, "python3 is older than 3.8 or does not start"),
        (_with_a_folder_of_somebody_else, "devboxgpu-.* cannot be used"),
    ],
)
def test_a_container_that_cannot_have_the_agent_says_why(
    exec_: FakeExec, make: Callable[[FakeExec], None], why: str
) -> None:
    make(exec_)

    @in_loop
    async def play() -> None:
        with pytest.raises(NoAgentError, match=why):
            await connected(exec_, carried())

    play()
    assert not [*exec_.home.glob("**/agent-*"), *exec_.temporary.glob("**/agent-*")]


@in_loop
async def test_an_agent_that_does_not_start_is_told_with_its_words(tmp_path: Path) -> None:
    with FakeExec(tmp_path).running() as fake:
        fake.tokens.add("t")
        with pytest.raises(NoAnswerError, match="no module named socket"):
            await connected(fake, carried(program="raise SystemExit('no module named socket')"))


@in_loop
async def test_a_link_that_is_refused_says_the_code(tmp_path: Path) -> None:
    refusal = '{"v": 1, "error": {"code": "LinkUnknown", "message": "not known any more"}}'
    with FakeExec(tmp_path).running() as fake:
        fake.tokens.add("t")
        with pytest.raises(LinkRefusedError, match="not known any more") as refused:
            await connected(fake, carried(refusal), Ways(RAW, RAW))
    assert refused.value.code == "LinkUnknown"
