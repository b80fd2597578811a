"""One connection of a link: what the two ends tell each other first, and then packets, in the way that gets through.

docs/agent.md, "From exec to link". What the ladder found is kept in `Ways` for the connections that follow.
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from devboxgpu.console.size import Size
from devboxgpu.exec_socket import DroppedError, ExecSocket
from devboxgpu.incoming import Incoming, OutputEndedError
from devboxgpu.remote_command import BYTES_A_LINE

PROTOCOL = 1
RAW, BASE64, PROBE = "raw", "base64", "probe"
LADDER = bytes(range(256)) * 128
HELLO_DAMAGED = "HelloDamaged"
LONGEST_LINE = 1024 * 1024
SIZE = Size(80, 24)
"""Of the exec terminal, which no program sees: each program has one of its own."""


class LinkRefusedError(Exception):
    """The agent answered, and not with a link. `code` as in docs/agent.md."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class NoAnswerError(Exception):
    """The agent ended, or said something else, before it answered; the text is what was said."""


@dataclass
class Ways:
    """How bytes get through the service in each direction, as far as it is known."""

    input: str = PROBE
    output: str = PROBE


@dataclass
class Hello:
    """What this end says of itself."""

    received: int
    silence_s: float | None
    ways: Ways
    link: str = field(default_factory=lambda: os.urandom(16).hex())


class Wire:
    """Packets both ways."""

    def __init__(self, socket: ExecSocket, output: Incoming, ways: Ways, answer: dict[str, Any]) -> None:
        self._socket, self._output, self._ways = socket, output, ways
        self.is_new = answer.get("new") is not False
        """Whether the agent did not know this link before."""
        self.received = int(answer["received"])
        """How much of our stream the agent has."""

    async def send(self, data: bytes) -> None:
        if self._ways.input == RAW:
            await self._socket.send_binary(data)
            return
        for start in range(0, len(data), BYTES_A_LINE):
            await self._socket.send_input(base64.b64encode(data[start : start + BYTES_A_LINE]) + b"\n")

    async def incoming(self) -> AsyncIterator[bytes]:
        """Bytes of packets, until the process at the other end is gone. Raises DroppedError or NotReadyError."""
        if self._ways.output == RAW:
            async for piece in self._output.pieces():
                yield piece
            return
        rest = b""
        async for piece in self._output.pieces():
            *lines, rest = (rest + piece).split(b"\n")
            yield b"".join(base64.b64decode(line) for line in lines)

    async def keep_alive(self) -> None:
        """A frame that the service counts as traffic, and that disturbs nobody."""
        await self._socket.resize(SIZE)

    async def close(self) -> None:
        await self._socket.close()

    def abort(self) -> None:
        """Ends a connection that nothing comes through."""
        self._socket.abort()


async def greet(socket: ExecSocket, output: Incoming, hello: Hello) -> Wire:
    """Says hello to an agent that was just started.

    Raises LinkRefusedError, NoAnswerError; DroppedError and NotReadyError as the socket does. What was found out about
    the way is written into `hello.ways`, also where the service has closed the socket because of it.
    """
    ways = hello.ways
    probes_input = ways.input == PROBE
    try:
        await _say(socket, hello)
        answer = await _answer(output)
    except DroppedError:
        if probes_input:
            ways.input = BASE64
        raise
    ways.input = RAW if answer.get("input") == RAW else BASE64
    if ways.output == PROBE:
        ways.output = RAW if await _climbed(output, hello.link) else BASE64
        await socket.send_input(f"{ways.output}\n".encode())
    return Wire(socket, output, ways, answer)


async def _say(socket: ExecSocket, hello: Hello) -> None:
    said = {
        "v": PROTOCOL,
        "link": hello.link,
        "received": hello.received,
        "input": hello.ways.input,
        "output": hello.ways.output,
        "silence_s": hello.silence_s,
    }
    await socket.send_input(base64.b64encode(json.dumps(said).encode()) + b"\n")
    if hello.ways.input == PROBE:
        await socket.send_binary(LADDER)
        await socket.send_input(_end_of_ladder(hello.link))


async def _answer(output: Incoming) -> dict[str, Any]:
    """The first line that is an answer; whatever else was printed before it is what is told when none comes."""
    noise = b""
    while True:
        try:
            line = await output.until(b"\n", most=LONGEST_LINE)
        except OutputEndedError as ended:
            raise NoAnswerError((noise.decode(errors="replace") + str(ended)).strip()[-400:]) from None
        answer = _object_in(line)
        if answer is None:
            noise += line + b"\n"
        elif isinstance(error := answer.get("error"), dict):
            if error.get("code") == HELLO_DAMAGED:
                raise DroppedError(f"the hello was damaged on the way: {error.get('message')}")
            raise LinkRefusedError(str(error.get("code")), str(error.get("message")))
        elif isinstance(answer.get("received"), int):
            return answer


def _object_in(line: bytes) -> dict[str, Any] | None:
    try:
        value = json.loads(base64.b64decode(line.strip(), validate=True))
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


async def _climbed(output: Incoming, link: str) -> bool:
    """Whether the agent's ladder came unchanged."""
    try:
        return await output.until(_end_of_ladder(link), most=4 * len(LADDER)) == LADDER
    except OutputEndedError as ended:
        raise NoAnswerError(str(ended)) from None


def _end_of_ladder(link: str) -> bytes:
    return f"\nEND {link}\n".encode()
