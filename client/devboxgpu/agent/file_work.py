"""Work on files away from the daemon's loop: a disk that is slow must not hold up what somebody types."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Callable, TypeVar

from .channels import Channel, Handler
from .file_errors import FileError
from .services import Agent, Request
from .tree import resolved

MOST_THREADS = 8
Outcome = TypeVar("Outcome")

_threads = ThreadPoolExecutor(MOST_THREADS, thread_name_prefix="files")


def in_thread(work: Callable[[], Outcome], then: Callable[[Outcome], None], agent: Agent) -> None:
    """`work`, which raises nothing, in a thread, then `then` with what it returned in the loop."""
    _threads.submit(lambda: agent.loop.soon(partial(then, work())))


class FileWork(Handler):
    """A conversation about a file: a piece of work at a time in a thread, everything else in the loop."""

    def __init__(self, channel: Channel, request: Request, agent: Agent) -> None:
        self.channel, self.request, self.agent = channel, request, agent
        self._soon = agent.loop.soon
        self._busy = False
        self._let_go = False
        self._afterwards: Callable[[], None] | None = None

    def place(self) -> str:
        """The file that the request is about. Raises FileError."""
        path, name = str(self.request.get("path")), str(self.request.get("name") or "")
        return resolved(path, name, start=self.agent.start_directory)

    def go_on(self) -> None:
        """Begins the next piece of work, if there is one now."""
        raise NotImplementedError

    def release(self) -> None:
        """Lets go of what is open, in a thread; called once, at the very end."""

    def released(self) -> None:
        """In the loop, after `release`."""

    def writable(self) -> None:
        self._next()

    def closed(self, result: dict[str, Any]) -> None:
        self._finish()

    def give_way(self, afterwards: Callable[[], None]) -> None:
        """Ends for a newer conversation about the same file, which begins when this one has let go of it."""
        self._afterwards = afterwards
        self.end({"error": {"code": "TakenOver", "message": "a newer copy of the same file has taken over"}})

    def end(self, result: dict[str, Any]) -> None:
        self.channel.close(result)
        self._finish()

    def do(self, work: Callable[[], Outcome], then: Callable[[Outcome], None]) -> None:
        """`work` in a thread, then `then` with what it returned in the loop. A FileError or OSError ends all."""
        self._busy = True

        def run() -> None:
            try:
                outcome = work()
            except FileError as error:
                self._soon(partial(self._done, partial(self.end, error.result())))
            except (OSError, ValueError) as error:
                message = f"{type(error).__name__}: {error}"
                self._soon(partial(self._done, partial(self.end, FileError("FileFailed", message).result())))
            else:
                self._soon(partial(self._done, partial(then, outcome)))

        _threads.submit(run)

    def _done(self, then: Callable[[], None]) -> None:
        self._busy = False
        # Somebody asked for this copy and waits for it: the session is used, as if they typed.
        self.agent.programs.terminal_at = time.monotonic()
        if self.channel.is_open:
            then()
            self._next()
        else:
            self._finish()

    def _next(self) -> None:
        if self.channel.is_open and not self._busy:
            self.go_on()

    def _finish(self) -> None:
        if not self._busy and not self._let_go:
            self._let_go = self._busy = True
            _threads.submit(self._release)

    def _release(self) -> None:
        self.release()
        self._soon(self._gone)

    def _gone(self) -> None:
        self.released()
        if self._afterwards is not None:
            self._afterwards()
