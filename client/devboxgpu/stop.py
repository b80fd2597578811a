"""The one reason why an open shell is left before its remote process ends: whoever has one first is heard."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from devboxgpu.console import on_closing
from devboxgpu.errors import EXIT_INTERRUPTED, ConnectionLostError, DevBoxGpuError, StoppedBySignalError
from devboxgpu.remote import Remote

Result = TypeVar("Result")
HANGUP = 1
"""SIGHUP, which Windows has no name for."""
FORWARDED_INTERRUPTS = 2
"""How many Ctrl-C go to a remote command that reads a pipe before one is taken to be meant for this command."""
HANGUP_S = 5.0


class Stop:
    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._reason: asyncio.Future[DevBoxGpuError] = self._loop.create_future()

    @property
    def requested(self) -> bool:
        return self._reason.done()

    def request(self, reason: DevBoxGpuError) -> None:
        if not self._reason.done():
            self._reason.set_result(reason)

    def request_from_thread(self, reason: DevBoxGpuError) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended, and everything with it
            self._loop.call_soon_threadsafe(self.request, reason)

    async def unless_stopped(self, work: Coroutine[Any, Any, Result]) -> Result:
        """The work's result; when a stop is asked for first, the work is cancelled and the reason raised."""
        task = asyncio.ensure_future(work)
        try:
            waited: set[asyncio.Future[Any]] = {task, self._reason}
            await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                return task.result()
            raise self._reason.result()
        finally:
            await cancelled(task)


async def cancelled(task: asyncio.Task[Any]) -> None:
    """Ends a task and waits for its end; what it raised is of no more interest."""
    task.cancel()
    await asyncio.wait({task})
    if not task.cancelled():
        task.exception()


class Signals:
    """Turns the process's signals into stops. A second Ctrl-C leaves at once: the lease then ends the session."""

    def __init__(self, stop: Stop, *, before_leaving: Callable[[], None]) -> None:
        self._stop = stop
        self._before_leaving = before_leaving
        self.taker: Callable[[int], bool] | None = None
        """Is asked first, and says whether it has taken the signal for itself."""

    def install(self) -> None:
        loop = asyncio.get_running_loop()
        if sys.platform == "win32":
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGBREAK):
                signal.signal(number, lambda received, _frame: loop.call_soon_threadsafe(self._received, received))
            on_closing(self._hung_up(loop), self._before_leaving)
        else:
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
                # Whoever began us may have had it ignored: nohup does, and a shell for what runs in the background.
                if signal.getsignal(number) is not signal.SIG_IGN:
                    loop.add_signal_handler(number, self._received, number)

    def _hung_up(self, loop: asyncio.AbstractEventLoop) -> Callable[[], None]:
        """For a thread of the system's: the terminal is closed."""

        def tell() -> None:
            with contextlib.suppress(RuntimeError):  # the loop has ended, and everything with it
                loop.call_soon_threadsafe(self._received, HANGUP)

        return tell

    def _received(self, number: int) -> None:
        if self.taker is not None and self.taker(number):
            return
        if number == signal.SIGINT and self._stop.requested:
            self._before_leaving()
            os._exit(EXIT_INTERRUPTED)
        self._stop.request(StoppedBySignalError(number))


class Forwarding:
    """Gives signals to a remote command, until there are so many that they are taken to be meant for this command."""

    def __init__(self, remote: Remote, stop: Stop, *, interrupts: bool, tell: Callable[[str], None]) -> None:
        """`interrupts`: Ctrl-C comes as a signal, rather than as a key."""
        self._remote, self._stop, self._interrupts, self._tell = remote, stop, interrupts, tell
        self._counts: Counter[int] = Counter()

    def __call__(self, number: int) -> bool:
        self._counts[number] += 1
        count = self._counts[number]
        if number == signal.SIGINT:
            return self._interrupt(count)
        if count > 1 or not self._remote.signal(signal.Signals(number).name.removeprefix("SIG")):
            return False
        if number == HANGUP:  # whoever looked on has gone: there is time for a last word, and not for more
            reason = StoppedBySignalError(number)
            asyncio.get_running_loop().call_later(HANGUP_S, self._stop.request, reason)
        return True

    def _interrupt(self, count: int) -> bool:
        if not self._interrupts or self._stop.requested:
            return False
        if not self._remote.is_connected:
            self._stop.request(ConnectionLostError("the connection to the session was lost"))
            return True
        if count > FORWARDED_INTERRUPTS or not self._remote.signal("INT"):
            return False
        if count > 1:
            self._tell("Ctrl-C went to the remote command; once more disconnects")
        return True
