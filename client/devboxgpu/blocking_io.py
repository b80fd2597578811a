"""Standard input and output for an event loop, each on a thread that a stuck terminal or pipe may block for ever.

The threads are daemons: a read that never returns must not keep the process, and its GPU, alive.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable
from functools import partial
from typing import Generic, TypeVar

from devboxgpu.console import Output

Result = TypeVar("Result")


class _OneThread(Generic[Result]):
    """Makes calls one after the other on a thread of its own."""

    def __init__(self, name: str) -> None:
        self._calls: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        threading.Thread(target=self._work, name=name, daemon=True).start()

    def call(self, function: Callable[[], Result]) -> asyncio.Future[Result]:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Result] = loop.create_future()

        def make_call() -> None:
            settle: Callable[[], None]
            try:
                settle = partial(future.set_result, function())
            except Exception as error:  # handed over to whoever awaits the call
                settle = partial(future.set_exception, error)
            _tell(loop, future, settle)

        self._calls.put(make_call)
        return future

    def _work(self) -> None:
        while True:
            self._calls.get()()


def _tell(loop: asyncio.AbstractEventLoop, future: asyncio.Future[Result], settle: Callable[[], None]) -> None:
    try:
        loop.call_soon_threadsafe(lambda: None if future.done() else settle())
    except RuntimeError:
        return  # the loop is closed: nobody waits any more


class StandardInput:
    def __init__(self, read: Callable[[], bytes]) -> None:
        self._read = read
        self._thread: _OneThread[bytes] = _OneThread("devboxgpu-stdin")
        self._pending: asyncio.Future[bytes] | None = None

    async def read(self) -> bytes:
        """The next bytes; empty at the end. A read given up by its caller is not lost: the next call gets it."""
        if self._pending is None:
            self._pending = self._thread.call(self._read)
        data = await asyncio.shield(self._pending)
        self._pending = None
        return data


class StandardOutput:
    def __init__(self, descriptor: int = 1) -> None:
        self._output = Output(descriptor)
        self._thread: _OneThread[None] = _OneThread("devboxgpu-stdout")

    async def write(self, data: bytes) -> None:
        """Writes all of it, unchanged; raises BrokenPipeError when nobody reads any more."""
        await self._thread.call(lambda: self._output.write(data))
