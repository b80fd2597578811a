"""Coming back to a program that goes on by itself; its keeper has the lease, and sees to the end of the session."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time

from devboxgpu.abilities import abilities_of
from devboxgpu.activity import Activity
from devboxgpu.agent_program import AgentProgram
from devboxgpu.api import ControlPlane
from devboxgpu.connector import Connector
from devboxgpu.console import Console
from devboxgpu.detached_store import DetachedShell, DetachedStore
from devboxgpu.detached_view import after_the_end, say_end
from devboxgpu.detaching import DetachedError
from devboxgpu.errors import (
    EXIT_CLIENT_FAILED,
    ConnectionLostError,
    DevBoxGpuError,
    DisconnectedError,
    RefusedError,
    StoppedBySignalError,
)
from devboxgpu.escape_keys import Escape
from devboxgpu.gate import Gate
from devboxgpu.keeper_process import have_kept
from devboxgpu.log_program import LogProgram
from devboxgpu.notices import Notices
from devboxgpu.remote import Remote
from devboxgpu.shell_life import EXIT_OUTPUT_CLOSED
from devboxgpu.shell_use import ShellUse
from devboxgpu.stop import Signals, Stop
from devboxgpu.title import TerminalSigns
from devboxgpu.way_in import WayIn
from devboxgpu.wire import Shell

KEEPER_PATIENCE_S = 30.0
"""After the program's end its keeper runs the save hook and closes the shell."""
LOOK_EVERY_S = 0.1
PIPED_KEYS = "Ctrl-C interrupts the program; ~d and Enter, or closing this terminal, leaves it running; ~. stops it"


class AttachLife:
    """One coming back. Made and run within one event loop."""

    def __init__(self, api: ControlPlane, store: DetachedStore, record: DetachedShell) -> None:
        self._api, self._store, self._record = api, store, record
        self._console, self._notices = Console(), Notices()
        self._stop = Stop()
        self._signals = Signals(self._stop, before_leaving=self._console.restore)
        self._gate = Gate(self._notices.write)
        self._signs = TerminalSigns(self._gate.write, abilities_of(sys.stderr))
        self._remote: Remote | None = None
        self._way_in = WayIn(
            Connector(api, record.shell), record.shell, (), on_terminal=record.terminal, size=self._console.size
        )
        self._use = ShellUse(
            api,
            self._way_in,
            shell=record.shell,
            console=self._console,
            notices=self._notices,
            activity=Activity(),
            stop=self._stop,
            signals=self._signals,
            gate=self._gate,
            signs=self._signs,
            hand_over=self._have_kept,
        )

    async def run(self) -> int:
        """The program's exit code, or what tells that it goes on; everything to be told has been told."""
        shell = await asyncio.to_thread(self._live_shell)
        if shell is None:
            return await after_the_end(self._store, self._record, self._notices)
        self._signals.install()
        try:
            return (
                await self._stop.unless_stopped(self._attach(shell))
                if not self._record.terminal
                else (await self._attach(shell))
            )
        except BrokenPipeError:
            return EXIT_OUTPUT_CLOSED
        except DetachedError:
            self._say_it_goes_on()
            return 0
        except StoppedBySignalError as error:
            self._say_it_goes_on()
            return error.exit_code
        except DisconnectedError as error:
            return await self._end(error)
        except DevBoxGpuError as error:
            return await self._after_a_failure(error)
        finally:
            self._signs.restore()
            self._gate.force()
            if isinstance(self._remote, AgentProgram):
                self._remote.detach()  # a goodbye alone would hang it up
            await self._way_in.close()

    def _live_shell(self) -> Shell | None:
        """None where the session is over, which is then noted. Raises what keeps it from being known."""
        if self._record.is_over:
            return None
        try:
            shell = self._api.get_shell(self._record.shell)
        except RefusedError as refused:
            if refused.status != 404:
                raise
            shell = None
        if shell is not None and not shell.is_over:
            return shell
        with self._store.lock(self._record.shell) as is_mine:  # else its keeper notes it
            if is_mine:
                reason = (shell.end_reason or shell.stop_reason or "") if shell is not None else ""
                self._record = self._store.update(self._record.shell, ended_at=time.time(), end_reason=reason)
        return None

    async def _have_kept(self) -> None:
        await have_kept(self._store, self._record)

    async def _attach(self, shell: Shell) -> int:
        await self._have_kept()
        if self._record.terminal:
            self._remote = await self._stop.unless_stopped(self._way_in.come_back())
            self._notices.say(f"attached to session {self._record.session} · Enter ~d leaves it running, ~? for keys")
        else:
            link = await self._way_in.join()
            request = {"what": "log", "program": self._record.shell, "offset": 0, "follow": True}
            self._remote = log_program = LogProgram(link, await link.open(request), self._on_key)
            log_program.skipped = self._say_skipped
            keys = f" · {PIPED_KEYS}" if sys.stdin.isatty() else ""
            self._notices.say(f"attached to session {self._record.session}{keys}")
        exit_code = await self._use.run(self._remote, shell)
        return await self._settled(exit_code)

    def _say_skipped(self, count: int) -> None:
        self._notices.say(f"{count} bytes of output are no longer kept in the session")

    def _on_key(self, key: Escape) -> None:
        left = DetachedError("detached") if key is Escape.DETACH else DisconnectedError("disconnected")
        self._stop.request(left)

    async def _settled(self, exit_code: int) -> int:
        """The program has ended: waits for its keeper to end the session, and says what it has cost."""
        record = await self._ended_record()
        if record is not None:
            say_end(record, self._notices)
        else:
            session = self._record.session
            self._notices.say(f"the program ended with exit code {exit_code}; session {session} is being ended")
        return exit_code

    async def _ended_record(self, patience_s: float = KEEPER_PATIENCE_S) -> DetachedShell | None:
        give_up_at = time.monotonic() + patience_s
        while time.monotonic() < give_up_at:
            record = self._store.get(self._record.shell)
            if record is not None and record.ended_at is not None:
                return record
            await asyncio.sleep(LOOK_EVERY_S)
        return None

    async def _after_a_failure(self, error: DevBoxGpuError) -> int:
        """The container may have gone because the program had ended: then its keeper knows the exit code."""
        record = await self._ended_record(5.0 if not isinstance(error, ConnectionLostError) else 2.0)
        if record is not None:
            say_end(record, self._notices)
            return record.exit_code if record.exit_code is not None else EXIT_CLIENT_FAILED
        for line in error.lines():
            self._notices.say(line)
        self._notices.say(f"whether the program goes on is told by: devboxgpu attach {self._record.session}")
        return EXIT_CLIENT_FAILED

    async def _end(self, error: DisconnectedError) -> int:
        """`~.`: the session is stopped, as it is where it was opened."""
        self._notices.say(f"{error}: stopping session {self._record.session}")
        remote, self._remote = self._remote, None
        if remote is not None:
            await self._use.leave(error)
        with contextlib.suppress(RefusedError):  # it is over already
            await asyncio.to_thread(self._api.close_shell, self._record.shell)
        if (record := await self._ended_record()) is not None:
            say_end(record, self._notices)
        return EXIT_CLIENT_FAILED

    def _say_it_goes_on(self) -> None:
        session = self._record.session
        self._notices.say(f"{self._record.program} goes on in session {session}; devboxgpu attach {session} comes back")
