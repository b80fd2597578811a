"""The use of a shell whose program has started: on a terminal or on pipes, what goes on beside it, and the leaving."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Awaitable, Callable

from devboxgpu.activity import Activity
from devboxgpu.agent_link import AgentLink
from devboxgpu.agent_program import AgentProgram
from devboxgpu.agent_services import feed_activity, warn
from devboxgpu.api import ControlPlane
from devboxgpu.blocking_io import StandardInput, StandardOutput
from devboxgpu.console import Console
from devboxgpu.detaching import DetachedError
from devboxgpu.errors import DevBoxGpuError, SessionEndedError, StoppedBySignalError
from devboxgpu.escape_keys import Escape
from devboxgpu.gate import Gate
from devboxgpu.leaving import PATIENCE_S, SIGNALLED_PATIENCE_S, save_before_leaving
from devboxgpu.log_program import LogProgram
from devboxgpu.notices import Notices
from devboxgpu.piped_session import PipedSession
from devboxgpu.plain_remote import PlainTerminal
from devboxgpu.reconnection import Reconnection
from devboxgpu.remote import Remote
from devboxgpu.session_face import SessionFace
from devboxgpu.session_keys import key_actions
from devboxgpu.skipped import Skipped
from devboxgpu.stop import Forwarding, Signals, Stop, cancelled
from devboxgpu.sync import Sync
from devboxgpu.terminal_session import KeyActions, TerminalSession, nudge
from devboxgpu.title import TerminalSigns
from devboxgpu.way_in import WayIn
from devboxgpu.wire import LeaseRenewal, Shell

STDERR = 2
WAITS_FOR_INPUT_S = 3.0
WAITS_FOR_INPUT = "standard input is read to its end before the program is left to itself (< /dev/null for none) ..."
HandOver = Callable[[], Awaitable[None]]


class ShellUse:
    def __init__(
        self,
        api: ControlPlane,
        way_in: WayIn,
        *,
        shell: str,
        console: Console,
        notices: Notices,
        activity: Activity,
        stop: Stop,
        signals: Signals,
        gate: Gate,
        signs: TerminalSigns,
        sync: Sync | None = None,
        hand_over: HandOver | None = None,
    ) -> None:
        """`hand_over`: sees to it that the shell is kept when the person leaves by `~d`."""
        self._hand_over = hand_over
        self._gate, self._signs = gate, signs
        self._face: SessionFace | None = None
        self._api, self._way_in, self._shell = api, way_in, shell
        self._console, self._notices, self._activity = console, notices, activity
        self._stop, self._signals, self._sync = stop, signals, sync
        self._stdin = StandardInput(console.read)
        self._stdout, self._stderr = StandardOutput(), StandardOutput(STDERR)
        self._session: str | None = None
        self._warnings: set[asyncio.Task[None]] = set()

    async def run(self, remote: Remote, shell: Shell) -> int:
        """The program's exit code. Raises what ended it otherwise."""
        self._session = session = shell.session or shell.id
        if self._way_in.on_terminal:
            self._face = SessionFace(
                project=self._api.project, shell=shell, gate=self._gate, signs=self._signs, say=self.warn
            )
        beside = asyncio.ensure_future(self._beside(remote))
        try:
            return await (self._on_terminal(remote, session) if self._way_in.on_terminal else self._on_pipes(remote))
        finally:
            self._signals.taker = None
            await cancelled(beside)

    def heard(self, renewal: LeaseRenewal) -> None:
        """Shows what a renewal has answered, warnings and all."""
        if self._face is not None:
            self._face.heard(renewal)

    @property
    def shows_renewals(self) -> bool:
        return self._face is not None

    def warn(self, text: str) -> None:
        """Where the person sees it: above the prompt, on a terminal that the agent has."""
        if self._session is None or not self._way_in.on_terminal:
            self._notices.say(text)
            return
        warning = asyncio.ensure_future(warn(self._way_in.link, self._shell, text, self._notices))
        self._warnings.add(warning)
        warning.add_done_callback(self._warnings.discard)

    async def leave(self, reason: DevBoxGpuError | None) -> bool:
        """Saves what is to be saved, where there is a way to do so, and says goodbye to the agent.

        False where a folder was taken along and not all that is new in it came back.
        """
        link = self._way_in.link
        if link is None:
            return True
        if self._session is not None and link.is_connected and link.failure is None:
            await save_before_leaving(
                self._api,
                link,
                shell=self._shell,
                session=self._session,
                is_over=isinstance(reason, SessionEndedError),
                patience_s=SIGNALLED_PATIENCE_S if isinstance(reason, StoppedBySignalError) else PATIENCE_S,
                signals=self._signals,
                write=self._write_aside,
                notices=self._notices,
            )
        came_back = await self._bring_back(link)
        await link.close()
        return came_back

    async def _bring_back(self, link: AgentLink) -> bool:
        if self._sync is None or self._session is None:
            return True
        try:
            if link.is_connected:
                return await self._sync.after(link)
        except DevBoxGpuError as error:
            self._notices.say(str(error))
        self._notices.say(self._sync.left_behind(self._session))
        return False

    async def _on_terminal(self, remote: Remote, session: str) -> int:
        is_plain = isinstance(remote, PlainTerminal)
        otherwise = f": a new shell in the same session {session}; the old one may be gone" if is_plain else ""
        reconnection = Reconnection(self._notices, otherwise=otherwise)
        terminal = TerminalSession(
            console=self._console,
            stdin=self._stdin,
            stdout=self._stdout,
            notices=self._notices,
            activity=self._activity,
            stop=self._stop,
            actions=self._actions(remote, session),
            reconnection=reconnection,
            gate=self._gate,
        )
        reconnection.redraw = nudge(remote, self._console)
        self._way_in.watch(remote, reconnection)
        skipped = Skipped(self._notices, reconnection)
        if isinstance(remote, AgentProgram):
            remote.skipped = skipped.add
        if self._way_in.is_command:
            self._signals.taker = Forwarding(remote, self._stop, interrupts=False, tell=self._notices.say)
        try:
            return await terminal.run(remote)
        finally:
            skipped.stop()

    def _actions(self, remote: Remote, session: str) -> KeyActions:
        actions = dict(key_actions(self._api, session, self._shell))
        hand_over = self._hand_over
        if hand_over is None or not isinstance(remote, AgentProgram):
            return actions

        async def detach() -> list[str]:
            if self._sync is not None:
                return [f"not detached: nobody would bring {self._sync.folder} back when the program ends"]
            await hand_over()
            remote.detach()
            self._stop.request(DetachedError("detached"))
            return []

        return {**actions, Escape.DETACH: detach}

    async def feed_and_go(self, remote: AgentProgram) -> int | None:
        """For a program that is to go on by itself: gives it its whole input, unless that is a terminal, and lets go.

        Its exit code where it could not be started, else None.
        """
        if not await remote.started():
            async for data, _ in remote.output():
                await self._stderr.write(data)
            return await remote.exit_code()
        if not sys.stdin.isatty():
            loop = asyncio.get_running_loop()
            telling = loop.call_later(WAITS_FOR_INPUT_S, self._notices.say, WAITS_FOR_INPUT)
            try:
                while data := await self._stdin.read():
                    await remote.send(data)
            finally:
                telling.cancel()
        await remote.end_input()
        remote.detach()
        await remote.detached()
        return None

    async def _on_pipes(self, remote: Remote) -> int:
        reconnection = Reconnection(self._notices)
        self._way_in.watch(remote, reconnection)
        piped = PipedSession(stdin=self._stdin, stdout=self._stdout, stderr=self._stderr, activity=self._activity)
        self._signals.taker = Forwarding(remote, self._stop, interrupts=True, tell=self._notices.say)
        try:
            return await self._stop.unless_stopped(piped.run(remote))
        finally:
            reconnection.stop()

    async def _beside(self, remote: Remote) -> None:
        """What the agent tells while the program runs, and what the terminal shows of the session."""
        works: list[Awaitable[object]] = [self._face.keep()] if self._face is not None else []
        if self._way_in.link is not None and isinstance(remote, AgentProgram | LogProgram):
            works += [feed_activity(self._way_in.link, self._activity), remote.messages()]
        await asyncio.gather(*works)

    async def _write_aside(self, data: bytes) -> None:
        with contextlib.suppress(OSError):  # the terminal may have gone; what is saved is saved
            await self._stderr.write(data)
