"""The agent itself: one process that outlives every exec, started by the first of them."""

from __future__ import annotations

import array
import os
import signal
import socket
from typing import Any

from .connection import Connection
from .dead_man import DeadMansHandle
from .gpu import Gpu
from .hook import Hooks
from .links import Links
from .places import Places
from .program import HANG_UP_S
from .programs import Programs, home
from .services import Agent

_PR_SET_CHILD_SUBREAPER = 36
HAND_OVER_S = 10.0
STOP_HOOK_S = 60.0
RAN_JUST_NOW_S = 120.0


class Daemon:
    def __init__(self, places: Places, listening: socket.socket, started_in: str) -> None:
        self._places, self._listening = places, listening
        self.agent = Agent(places.directory, places.hash, home() if started_in == "/" else started_in)
        self.agent.programs = Programs(self.agent)
        self.agent.hooks = Hooks(self.agent)
        self.agent.gpu = Gpu(self.agent.loop)
        self.links = Links(self.agent)
        self._dead_man = DeadMansHandle(self.agent, self.links)

    def run(self) -> None:
        """Until SIGTERM, or until the programs have been ended because of it."""
        _become_subreaper()
        os.umask(_umask_of_container())
        os.chdir(home() if os.path.isdir(home()) else "/")
        for ignored in (signal.SIGHUP, signal.SIGPIPE, signal.SIGINT):
            signal.signal(ignored, signal.SIG_IGN)
        self._listening.setblocking(False)
        self.agent.loop.on_signal(signal.SIGTERM, self._stop)
        self.agent.loop.reader(self._listening.fileno(), self._accept)
        self._dead_man.watch()
        self.agent.hooks.watch()
        self.agent.loop.run()

    def _accept(self) -> None:
        try:
            front, _ = self._listening.accept()
        except (BlockingIOError, ConnectionError):
            return
        front.setblocking(False)
        loop = self.agent.loop
        fd = front.fileno()

        def give_up() -> None:
            loop.no_reader(fd)
            front.close()

        deadline = loop.later(HAND_OVER_S, give_up)

        def take() -> None:
            deadline.cancel()
            loop.no_reader(fd)
            descriptors = _received(front)
            if descriptors is None:
                front.close()
            else:
                Connection(self.links, descriptors, front)

        loop.reader(fd, take)

    def _stop(self) -> None:
        """SIGTERM: the user's hook, then the programs, then the agent."""
        self.agent.loop.on_signal(signal.SIGTERM, lambda: None)
        if self.agent.hooks.ran_within(RAN_JUST_NOW_S):
            self._end_programs()
        else:
            self.agent.hooks.run(STOP_HOOK_S, lambda _: None, lambda _: self._end_programs())

    def _end_programs(self) -> None:
        for program in self.agent.programs.running:
            program.hang_up()
        self._leave_when_ended(int(HANG_UP_S / 0.1) + 10)

    def _leave_when_ended(self, looks_left: int) -> None:
        if self.agent.programs.running and looks_left:
            self.agent.loop.later(0.1, lambda: self._leave_when_ended(looks_left - 1))
            return
        try:
            os.unlink(self._places.socket)
        except FileNotFoundError:
            pass
        self.agent.loop.stop()


def _received(front: socket.socket) -> tuple[int, int] | None:
    """The two descriptors that were handed over: to read from and to write to."""
    size = array.array("i").itemsize
    try:
        word, messages, _, _ = front.recvmsg(1, socket.CMSG_SPACE(2 * size))
    except (BlockingIOError, ConnectionError):
        return None
    descriptors = array.array("i")
    for level, kind, data in messages:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            descriptors.frombytes(data[: len(data) - len(data) % size])
    for fd in descriptors:
        os.set_inheritable(fd, False)
    if word and len(descriptors) == 2:
        return descriptors[0], descriptors[1]
    for fd in descriptors:
        os.close(fd)
    return None


def _become_subreaper() -> None:
    """What programs leave behind comes to us to be reaped. Where that cannot be, it goes to the container's first."""
    try:
        import ctypes

        library: Any = ctypes.CDLL(None)
        library.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    except (ImportError, OSError, AttributeError):
        return


def _umask_of_container() -> int:
    """That of the container's first process: the agent was started under one for its own files."""
    try:
        with open("/proc/1/status", encoding="ascii", errors="replace") as status:
            for line in status:
                if line.startswith("Umask:"):
                    return int(line.split()[1], 8)
    except (OSError, ValueError, IndexError):
        pass
    return 0o022
