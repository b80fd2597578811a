"""One thread that waits for everything: descriptors, times and children that end.

Nothing that it calls may wait. Whoever reads or writes does so on descriptors that do not block, and takes
BlockingIOError for "not now".
"""

from __future__ import annotations

import heapq
import itertools
import os
import selectors
import signal
import sys
import time
import traceback
from collections import deque
from typing import Any, Callable

Call = Callable[[], None]
MOST_COMPLAINTS = 200
"""So many mistakes are written into the agent's log: it must not fill the disk."""


class Timer:
    """What is called once, later, unless it is cancelled."""

    def __init__(self, call: Call) -> None:
        self.call = call
        self.is_cancelled = False

    def cancel(self) -> None:
        self.is_cancelled = True


class _Watched:
    """The calls of one descriptor, and what the selector knows of it."""

    def __init__(self) -> None:
        self.read: Call | None = None
        self.write: Call | None = None
        self.is_late = False
        self.mask = 0


class Loop:
    """`after_round` are called after every round of calls, before the next wait: what was gathered is sent there."""

    def __init__(self) -> None:
        self.after_round: list[Call] = []
        self._selector = selectors.DefaultSelector()
        self._watched: dict[int, _Watched] = {}
        self._timers: list[tuple[float, int, Timer]] = []
        self._order = itertools.count()
        self._children: dict[int, Callable[[int], None]] = {}
        self._signals: dict[int, Call] = {}
        self._runs = False
        self._complaints_left = MOST_COMPLAINTS
        self._soon: deque[Call] = deque()
        self._told, self._telling = os.pipe()
        for fd in (self._told, self._telling):
            os.set_blocking(fd, False)
        self.reader(self._told, self._hear)

    def reader(self, fd: int, call: Call, *, late: bool = False) -> None:
        """Calls while there is something to read, or the end of it. What is `late` comes after all others of a round:
        the output of programs, so that keys go in before it comes out.
        """
        watched = self._watched.setdefault(fd, _Watched())
        watched.read, watched.is_late = call, late
        self._select(fd, watched)

    def writer(self, fd: int, call: Call) -> None:
        """Calls while something can be written."""
        watched = self._watched.setdefault(fd, _Watched())
        watched.write = call
        self._select(fd, watched)

    def no_reader(self, fd: int) -> None:
        """Calls no more for reading; does nothing where it did not."""
        if fd in self._watched:
            self._watched[fd].read = None
            self._select(fd, self._watched[fd])

    def no_writer(self, fd: int) -> None:
        if fd in self._watched:
            self._watched[fd].write = None
            self._select(fd, self._watched[fd])

    def watch(self, fd: int, on_readable: Call | None, on_writable: Call | None) -> None:
        """Both at once, in place of what was said of the descriptor before."""
        watched = self._watched.setdefault(fd, _Watched())
        watched.read, watched.write = on_readable, on_writable
        self._select(fd, watched)

    def close(self, fd: int) -> None:
        """Forgets the descriptor and closes it."""
        self.no_reader(fd)
        self.no_writer(fd)
        os.close(fd)

    def later(self, seconds: float, call: Call) -> Timer:
        timer = Timer(call)
        heapq.heappush(self._timers, (time.monotonic() + seconds, next(self._order), timer))
        return timer

    def soon(self, call: Call) -> None:
        """Calls in the next round. The one thing here that another thread may use."""
        self._soon.append(call)
        try:
            os.write(self._telling, b"\0")
        except BlockingIOError:
            return  # it is full of such words: the loop will look

    def on_exit(self, pid: int, call: Callable[[int], None]) -> None:
        """Calls once when the child has ended, with its exit code: 128+n where signal n ended it."""
        self._children[pid] = call

    def on_signal(self, number: int, call: Call) -> None:
        self._signals[number] = call
        if self._runs:
            signal.signal(number, _noted)

    def run(self) -> None:
        """Until `stop`. Takes the process's signals: only for its main thread."""
        self._runs = True
        signal.set_wakeup_fd(self._telling, warn_on_full_buffer=False)
        self._signals.setdefault(signal.SIGCHLD, self._reap)
        for number in self._signals:
            signal.signal(number, _noted)
        self._reap()
        try:
            while self._runs:
                self._round()
        finally:
            signal.set_wakeup_fd(-1)

    def stop(self) -> None:
        self._runs = False

    def _round(self) -> None:
        ready = self._selector.select(self._until_next())
        late = []
        for key, mask in ready:
            watched: _Watched = key.data
            if mask & selectors.EVENT_WRITE and watched.write:
                self._safely(watched.write)
            if mask & selectors.EVENT_READ and watched.read:
                if watched.is_late:
                    late.append(watched)
                else:
                    self._safely(watched.read)
        self._fire_timers()
        for watched in late:
            if watched.read:
                self._safely(watched.read)
        for call in self.after_round:
            self._safely(call)

    def _until_next(self) -> float | None:
        while self._timers and self._timers[0][2].is_cancelled:
            heapq.heappop(self._timers)
        return max(0.0, self._timers[0][0] - time.monotonic()) if self._timers else None

    def _fire_timers(self) -> None:
        now = time.monotonic()
        while self._timers and self._timers[0][0] <= now:
            timer = heapq.heappop(self._timers)[2]
            if not timer.is_cancelled:
                self._safely(timer.call)

    def _select(self, fd: int, watched: _Watched) -> None:
        mask = (selectors.EVENT_READ if watched.read else 0) | (selectors.EVENT_WRITE if watched.write else 0)
        if mask and mask == watched.mask:
            return
        if mask and watched.mask:
            self._selector.modify(fd, mask, watched)
        elif mask:
            self._selector.register(fd, mask, watched)
        else:
            del self._watched[fd]
            if watched.mask:
                self._selector.unregister(fd)
        watched.mask = mask

    def _hear(self) -> None:
        """Bytes of the pipe are numbers of signals, and 0 for `soon`."""
        for number in set(os.read(self._told, 65536)):
            if number in self._signals:
                self._signals[number]()
        for _ in range(len(self._soon)):
            self._safely(self._soon.popleft())

    def _reap(self) -> None:
        """Everything that has ended, also what others left to us (the agent is the subreaper where it can be)."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            call = self._children.pop(pid, None)
            if call is not None:
                code = os.WEXITSTATUS(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status)
                call(code)

    def _safely(self, call: Call) -> None:
        try:
            call()
        except Exception:  # one conversation's mistake must not end everybody's programs; it is in the agent's log
            if self._complaints_left:
                self._complaints_left -= 1
                traceback.print_exc(file=sys.stderr)


def _noted(_number: int, _frame: Any) -> None:
    """The number has already been written to the wake-up descriptor."""
