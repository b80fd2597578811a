"""A command without a terminal of ours: standard input in, output and errors out, byte for byte, and the exit code."""

from __future__ import annotations

import asyncio
import contextlib

from devboxgpu.activity import Activity
from devboxgpu.blocking_io import StandardInput, StandardOutput
from devboxgpu.remote import Remote
from devboxgpu.stop import cancelled


class PipedSession:
    def __init__(
        self, *, stdin: StandardInput, stdout: StandardOutput, stderr: StandardOutput, activity: Activity
    ) -> None:
        self._stdin, self._stdout, self._stderr, self._activity = stdin, stdout, stderr, activity

    async def run(self, remote: Remote) -> int:
        """The command's exit code. Raises BrokenPipeError when nobody reads our output, and what ended it otherwise."""
        feeding = asyncio.ensure_future(self._feed(remote))
        try:
            async for data, is_error in remote.output():
                self._activity.happened()
                if is_error:
                    with contextlib.suppress(OSError):  # nobody reads the errors: the output matters
                        await self._stderr.write(data)
                else:
                    await self._stdout.write(data)
            return await remote.exit_code()
        finally:
            await cancelled(feeding)

    async def _feed(self, remote: Remote) -> None:
        while data := await self._stdin.read():
            self._activity.happened()
            await remote.send(data)
        await remote.end_input()
