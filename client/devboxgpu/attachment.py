"""A process in the session that is known to answer: its socket, and all of its output from the first byte on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

from devboxgpu.console import Size
from devboxgpu.errors import ConnectionLostError
from devboxgpu.exec_socket import DroppedError, ExecSocket
from devboxgpu.remote_command import ReadyMark, batch

FIRST_OUTPUT_PATIENCE_S = 3.0
READY_PATIENCE_S = 60.0
MOST_SHOWN = 400


class Attachment:
    def __init__(self, socket: ExecSocket, output: AsyncIterator[bytes]) -> None:
        self.socket = socket
        self.output = output


Begin = Callable[[ExecSocket], Awaitable[Attachment]]
"""Makes a fresh socket an attachment. Raises NotReadyError where a new socket may do better."""


def as_it_is(size: Size) -> Begin:
    """For a program that needs nothing said: attached at its first output (a prompt), or when it stays silent."""

    async def begin(socket: ExecSocket) -> Attachment:
        await socket.resize(size)
        output = socket.output()
        first = asyncio.ensure_future(anext(output, b""))
        await asyncio.wait({first}, timeout=FIRST_OUTPUT_PATIENCE_S)
        if first.done():
            first.result()
        return Attachment(socket, _continued(first, output))

    return begin


def with_script(size: Size, script: bytes) -> Begin:
    """For a script: the remote terminal is made clean first, so that `output` is the script's own and nothing else.

    Raises ConnectionLostError when the container cannot do that.
    """

    async def begin(socket: ExecSocket) -> Attachment:
        mark = ReadyMark()
        await socket.resize(size)
        await socket.send_input(mark.request())
        output = socket.output()
        seen = b""
        try:
            async with asyncio.timeout(READY_PATIENCE_S):
                while mark.expected not in seen:
                    seen += await anext(output)
        except (StopAsyncIteration, TimeoutError, DroppedError) as error:
            raise _unprepared(seen, error) from None
        for line in batch(script):
            await socket.send_input(line)
        return Attachment(socket, _preceded(seen.partition(mark.expected)[2], output))

    return begin


def _unprepared(seen: bytes, error: Exception) -> ConnectionLostError:
    said = seen.decode(errors="replace").strip()[-MOST_SHOWN:] or str(error)
    return ConnectionLostError(
        "the container's shell cannot be prepared: the image must have sh, stty, head and base64"
        + (f". It said: {said}" if said else "")
    )


async def _continued(first: asyncio.Task[bytes], output: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    try:
        if data := await first:
            yield data
    finally:
        first.cancel()
    async for data in output:
        yield data


async def _preceded(first: bytes, output: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    if first:
        yield first
    async for data in output:
        yield data
