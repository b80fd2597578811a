"""The dead man's handle: when nobody has been heard for too long, the container ends itself, and with it its cost."""

from __future__ import annotations

import os
import signal
import sys
import time

from . import main_process
from .links import Links
from .services import Agent

HEARD = "heard"
HOOK_LIMIT_S = 60.0
KILL_AFTER_S = 40.0
LOOK_EVERY_S = 30.0
UNTIL_TOLD_S = 4.0
"""As if this were the silence, while no client has said one."""


class DeadMansHandle:
    def __init__(self, agent: Agent, links: Links) -> None:
        self._agent, self._links = agent, links
        self._file = os.path.join(agent.directory, HEARD)
        self._told_at = 0.0
        self._let_go_at: float | None = None

    def watch(self) -> None:
        silence_s = self._links.silence_s
        if silence_s is not None:
            self._tell_others()
            if self._is_silent(silence_s) and not self._waits(silence_s):
                self._let_go_at = time.monotonic()
                self._agent.hooks.run(HOOK_LIMIT_S, lambda _: None, lambda _: self._end_if_still_silent(silence_s))
        self._agent.loop.later(min(LOOK_EVERY_S, (silence_s or UNTIL_TOLD_S) / 4), self.watch)

    def _is_silent(self, silence_s: float) -> bool:
        """By this agent's ears, and by those of others (another version's, the control plane's) who touch the file."""
        if time.monotonic() - self._links.heard_at < silence_s:
            return False
        try:
            return time.time() - os.stat(self._file).st_mtime >= silence_s
        except OSError:
            return True

    def _waits(self, silence_s: float) -> bool:
        """It has let go already, and what follows of that has still its time."""
        return self._let_go_at is not None and time.monotonic() - self._let_go_at < silence_s + HOOK_LIMIT_S

    def _tell_others(self) -> None:
        if self._links.heard_at <= self._told_at:
            return
        self._told_at = self._links.heard_at
        heard = time.time() - (time.monotonic() - self._told_at)
        try:
            with open(self._file, "ab") as file:
                if os.fstat(file.fileno()).st_mtime < heard:  # never back: another may have heard somebody since
                    os.utime(self._file, (heard, heard))
        except OSError as error:
            _note(f"{self._file}: {error}")

    def _end_if_still_silent(self, silence_s: float) -> None:
        if not self._is_silent(silence_s):
            return
        pid = main_process.find(self._agent.directory)
        if pid is None:
            _note("silence, but it is not certain which process is the container's main one")
            return
        _note(f"nobody was heard for {silence_s:g} s: ending the container's main process {pid}")
        os.kill(pid, signal.SIGTERM)
        self._agent.loop.later(KILL_AFTER_S, self._kill_if_still_there)

    def _kill_if_still_there(self) -> None:
        pid = main_process.find(self._agent.directory)
        if pid is not None:
            os.kill(pid, signal.SIGKILL)


def _note(text: str) -> None:
    """Into the agent's log."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()
