"""A program that the agent runs: it lives on whether somebody looks on or not, and its end waits for who asks."""

from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING, Any

from .channels import LARGEST_DATA, Channel, Handler
from .inlet import Inlet
from .output import Kept

if TYPE_CHECKING:
    from .log import LogView
    from .programs import Programs

HANG_UP_S = 2.0
SIGNALS = ("HUP", "INT", "QUIT", "KILL", "USR1", "USR2", "TERM", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "WINCH")


class Program:
    """What programs on terminals and on pipes have in common."""

    is_terminal = False

    def __init__(self, programs: Programs, id_: str, pid: int, inlet: Inlet, kept: Kept | None) -> None:
        self.id, self.pid, self.inlet, self.kept = id_, pid, inlet, kept
        self.programs, self.loop = programs, programs.agent.loop
        self.viewer: Viewer | None = None
        self.exit_code: int | None = None
        self.is_hung_up = False
        self.is_forgotten = False
        self.readers: set[LogView] = set()
        self.loop.on_exit(pid, self._has_ended)

    def look_on(self, viewer: Viewer) -> None:
        """From now on this one gets the output; whoever had it is told so and let go."""
        before, self.viewer = self.viewer, viewer
        if before is not None:
            before.channel.message({"taken": True})
            before.channel.close({"detached": True})

    def pump(self) -> None:
        """Sends what is kept and not yet sent, as far as there is credit, and at the very end the exit code."""
        for reader in tuple(self.readers):
            reader.writable()
        if self.viewer is None:
            return
        channel = self.viewer.channel
        while self.kept is not None and channel.credit:
            skipped = self.kept.take_skipped()
            if skipped:
                channel.message({"skipped": skipped})
            piece = self.kept.take(min(LARGEST_DATA, channel.credit))
            if piece is None:
                break
            channel.send(piece.data, is_error=piece.is_error)
        if self.exit_code is not None and channel.credit and self.has_sent_all():
            channel.close({"exit": self.exit_code})
            self.viewer = None
            self.programs.forget(self)

    def no_reader(self, reader: LogView) -> None:
        """It has read enough."""
        self.readers.discard(reader)
        self.let_go()

    def let_go(self) -> None:
        """Keeps nothing any more when it is forgotten and nobody still reads."""
        if self.is_forgotten and not self.readers and self.kept is not None:
            self.kept.close()

    def has_sent_all(self) -> bool:
        """Nothing more will come; asked when it has ended and all that is kept has been sent."""
        return True

    def resize(self, columns: int, rows: int) -> None:
        """Only a terminal has a size."""

    def be_lossy(self, *, lossy: bool) -> None:
        """Whether output is let go rather than waited with; a terminal's always is."""

    def send_signal(self, name: str) -> None:
        """To the program's process group. Does nothing for a name that is none, or when it has ended."""
        if name in SIGNALS:
            self.kill(getattr(signal, "SIG" + name))

    def kill(self, number: int) -> None:
        if self.exit_code is None:
            kill_group(self.pid, number)

    def hang_up(self) -> None:
        """Its user has left for good: SIGHUP, and after two seconds SIGKILL."""
        self.leave()
        self.is_hung_up = True
        if self.exit_code is not None:
            self.programs.forget(self)
            return
        self.kill(signal.SIGHUP)
        self.kill(signal.SIGCONT)
        self.loop.later(HANG_UP_S, lambda: self.kill(signal.SIGKILL))

    def leave(self) -> None:
        """Nobody looks on any more, and it runs on."""
        self.viewer = None
        self.be_lossy(lossy=True)

    def finish_output(self) -> None:
        """It has just ended: take in what it has printed."""

    def _has_ended(self, code: int) -> None:
        self.exit_code = code
        self.inlet.close()
        self.finish_output()
        self.programs.has_ended(self)
        self.pump()


class Viewer(Handler):
    """Who looks on at a program, and types into it."""

    def __init__(self, channel: Channel, program: Program) -> None:
        self.channel, self.program = channel, program

    def data(self, data: bytes, *, is_error: bool) -> None:
        self.program.programs.terminal_at = time.monotonic()
        self.program.inlet.put(data, self.channel)

    def eof(self) -> None:
        if self._looks_on():
            self.program.inlet.end()

    def message(self, message: dict[str, Any]) -> None:
        if not self._looks_on():
            return
        resize, name = message.get("resize"), message.get("signal")
        if isinstance(resize, list) and len(resize) == 2 and all(is_size(side) for side in resize):
            self.program.resize(resize[0], resize[1])
        if isinstance(name, str):
            self.program.send_signal(name)
        if isinstance(message.get("lossy"), bool):
            self.program.be_lossy(lossy=message["lossy"])
        if message.get("detach") is True:
            self.program.leave()
            self.channel.close({"detached": True})

    def writable(self) -> None:
        if self._looks_on():
            self.program.pump()

    def closed(self, result: dict[str, Any]) -> None:
        if not self._looks_on():
            return
        if result.get("lost", "bye") == "bye":
            self.program.hang_up()
        else:
            self.program.leave()

    def _looks_on(self) -> bool:
        return self.program.viewer is self


class Feeder(Viewer):
    """Who has started a program that runs on its own: types into it, and sees nothing of it.

    One that goes before its input has ended takes the program with it: half of an input would be taken for all of it.
    """

    def __init__(self, channel: Channel, program: Program) -> None:
        super().__init__(channel, program)
        self._has_ended = self._leaves = False

    def eof(self) -> None:
        self._has_ended = True
        self.program.inlet.end()
        self._leave_at_the_end()

    def writable(self) -> None:
        return

    def message(self, message: dict[str, Any]) -> None:
        self._leaves = self._leaves or message.get("detach") is True
        self._leave_at_the_end()

    def closed(self, result: dict[str, Any]) -> None:
        if not self._has_ended:
            self.program.hang_up()

    def _leave_at_the_end(self) -> None:
        if self._leaves and self._has_ended:
            self.channel.close({"detached": True})


def is_size(value: object) -> bool:
    return type(value) is int and 0 < value < 65536


def kill_group(pid: int, number: int) -> None:
    """Does nothing where there is no such group any more, or it has taken on another user."""
    try:
        os.killpg(pid, number)
    except (ProcessLookupError, PermissionError):
        return
