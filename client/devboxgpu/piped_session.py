"""A command without a terminal of ours: standard input in, output out, both byte for byte, and the exit code."""

from __future__ import annotations

import asyncio

from devboxgpu.activity import Activity
from devboxgpu.attachment import Attachment
from devboxgpu.blocking_io import StandardInput, StandardOutput
from devboxgpu.errors import ConnectionLostError
from devboxgpu.exec_socket import DroppedError, ExecSocket, NotReadyError
from devboxgpu.remote_command import END_OF_INPUT, INTERRUPT, batch
from devboxgpu.stop import cancelled


class PipedSession:
    def __init__(self, *, stdin: StandardInput, stdout: StandardOutput, activity: Activity) -> None:
        self._stdin, self._stdout, self._activity = stdin, stdout, activity
        self._socket: ExecSocket | None = None
        self._interrupts: set[asyncio.Task[None]] = set()

    async def run(self, attachment: Attachment) -> int:
        """The command's exit code. Raises ConnectionLostError when the socket drops: it cannot be resumed."""
        self._socket = socket = attachment.socket
        helpers = [asyncio.ensure_future(self._feed(socket)), asyncio.ensure_future(socket.keep_alive())]
        try:
            async for data in attachment.output:
                self._activity.happened()
                await self._stdout.write(data)
            return socket.exit_code
        except (DroppedError, NotReadyError) as dropped:
            raise ConnectionLostError(
                f"the connection to the session was lost ({dropped}); what became of the command is unknown"
            ) from None
        finally:
            self._socket = None
            for helper in helpers:
                await cancelled(helper)
            await socket.close()

    def interrupt(self) -> None:
        """Ctrl-C for the remote command."""
        if self._socket is not None:
            sending = asyncio.ensure_future(self._socket.send_input(INTERRUPT))
            self._interrupts.add(sending)
            sending.add_done_callback(self._interrupts.discard)

    async def _feed(self, socket: ExecSocket) -> None:
        while data := await self._stdin.read():
            self._activity.happened()
            for line in batch(data):
                await socket.send_input(line)
        await socket.send_input(END_OF_INPUT)
