"""A shell from the first word to the last: opened, kept, used, and closed whatever happens in between."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from devboxgpu.abilities import abilities_of
from devboxgpu.activity import Activity
from devboxgpu.agent_program import AgentProgram
from devboxgpu.api import ControlPlane
from devboxgpu.connector import Connector
from devboxgpu.console import Console
from devboxgpu.detaching import DetachedError, Detaching, refuse_where_not_allowed
from devboxgpu.errors import (
    EXIT_CLIENT_FAILED,
    ConnectionLostError,
    DevBoxGpuError,
    SessionEndedError,
    StoppedBySignalError,
)
from devboxgpu.farewell import end_line
from devboxgpu.gate import Gate
from devboxgpu.held_shell import HeldShell
from devboxgpu.layout import hanging
from devboxgpu.list_price import ListPrice
from devboxgpu.notices import Notices
from devboxgpu.opening import Opening, connected, headline, news
from devboxgpu.progress import Progress, progress_on
from devboxgpu.remote import Remote
from devboxgpu.session_end import may_hide_a_stop
from devboxgpu.shell_use import ShellUse
from devboxgpu.stop import Signals, Stop
from devboxgpu.sync import Sync
from devboxgpu.title import TerminalSigns
from devboxgpu.way_in import WayIn
from devboxgpu.wire import LeaseRenewal, Shell

EXIT_OUTPUT_CLOSED = 141
"""128 + SIGPIPE: nobody reads our output any more, as for any program in a pipeline."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShellPlan:
    request: Mapping[str, object]
    """The body of OpenShell."""
    arguments: Sequence[str]
    """The command to run; empty for a shell."""
    on_terminal: bool
    """Whether a person's terminal is attached, rather than standard input and output as they are."""
    endpoint: str
    """Where the control plane is."""
    detach: bool = False
    """Whether the program is left to itself at once."""
    sync: Sync | None = None
    """The folder that is taken along, and brought back."""


class ShellLife:
    """One use of one shell. Made and run within one event loop."""

    def __init__(self, api: ControlPlane, plan: ShellPlan) -> None:
        self._api, self._plan = api, plan
        self._console = Console()
        self._notices = Notices()
        self._held = HeldShell(api, self._notices)
        self._activity = Activity()
        self._gate = Gate(self._notices.write)
        self._signs = TerminalSigns(self._gate.write, abilities_of(sys.stderr))
        self._stop = Stop()
        self._signals = Signals(self._stop, before_leaving=self._console.restore)
        self._way_in = WayIn(
            Connector(api, self._held.id),
            self._held.id,
            plan.arguments,
            on_terminal=plan.on_terminal,
            size=self._console.size,
            sync=plan.sync,
            detached=plan.detach,
        )
        self._detaching = Detaching(api, plan.endpoint, plan.arguments)
        self._use = ShellUse(
            api,
            self._way_in,
            shell=self._held.id,
            console=self._console,
            notices=self._notices,
            activity=self._activity,
            stop=self._stop,
            signals=self._signals,
            sync=plan.sync,
            hand_over=self._hand_over,
            gate=self._gate,
            signs=self._signs,
        )
        self._opening: Opening | None = None
        self._shell: Shell | None = None
        self._told: list[str] = []
        """What the headline said."""
        self._attached_at: float | None = None

    async def run(self) -> int:
        """The exit code of the process; everything to be told has been told."""
        self._signals.install()
        exit_code, reason = EXIT_CLIENT_FAILED, ""
        closed: Shell | None = None
        is_detached = False
        ended_by: DevBoxGpuError | None = None
        try:
            exit_code = await self._live()
        except BrokenPipeError:
            exit_code = EXIT_OUTPUT_CLOSED
        except DetachedError:
            is_detached = True
        except DevBoxGpuError as error:
            ended_by = error
            exit_code, reason = self._explain(error)
        finally:
            # In every path, an unforeseen one too: the GPU must not stay behind.
            self._signs.restore()
            self._gate.force()
            if not is_detached:
                closed, came_back = await self._leave(ended_by)
        if is_detached:
            return await self._let_go()
        if not came_back and not exit_code:
            exit_code = EXIT_CLIENT_FAILED
        self._say_farewell(closed, exit_code, reason)
        return exit_code

    async def _live(self) -> int:
        if self._plan.detach:
            await self._stop.unless_stopped(refuse_where_not_allowed(self._api))
        remote, shell = await self._stop.unless_stopped(self._open())
        if self._plan.detach and isinstance(remote, AgentProgram):
            return await self._stop.unless_stopped(self._start_and_go(remote))
        try:
            exit_code = await self._use.run(remote, shell)
        except ConnectionLostError:
            await self._held.raise_if_stopped()
            raise
        if may_hide_a_stop(exit_code):
            await self._held.raise_if_stopped()
        return exit_code

    async def _open(self) -> tuple[Remote, Shell]:
        progress, listed = progress_on(self._notices, self._signs), ListPrice(self._api)
        try:
            progress.enter("Requested", f"project {self._api.project}")
            opened = await self._held.ask(self._plan.request)
            known = opened.shell.price_an_hour or await listed.of(opened.shell)
            self._told = headline(self._api.project, opened.shell, known)
            progress.headline(" · ".join(self._told))
            self._keep_lease(opened.shell)
            self._opening = Opening(self._api, progress)
            self._shell = shell = await self._opening.follow(opened)
            return await self._connect(shell, progress), shell
        finally:
            progress.abandon()

    async def _connect(self, shell: Shell, progress: Progress) -> Remote:
        # Region and price are often known only now.
        progress.enter("Connecting", concluded=news(self._told, headline(self._api.project, shell)))
        remote = await self._way_in.start(progress)
        self._attached_at = time.monotonic()
        self._activity.happened()
        progress.finish(connected(shell, hint="Enter ~? for keys" if self._plan.on_terminal else ""))
        if missing := self._way_in.missing():
            self._notices.say(missing)
        return remote

    def _keep_lease(self, shell: Shell) -> None:
        loop = asyncio.get_running_loop()

        def tell(text: str) -> None:
            loop.call_soon_threadsafe(self._use.warn, text)

        def heard(renewal: LeaseRenewal) -> bool:
            with contextlib.suppress(RuntimeError):  # the loop has closed while this renewal was under way
                loop.call_soon_threadsafe(self._use.heard, renewal)
            return self._use.shows_renewals

        self._held.keep(shell, self._activity, heard=heard, tell=tell, ended=self._stop.request_from_thread)

    async def _start_and_go(self, remote: AgentProgram) -> int:
        """Raises DetachedError once a keeper has the shell; the exit code where the program could not be started."""
        exit_code = await self._use.feed_and_go(remote)
        if exit_code is not None:
            return exit_code
        await self._hand_over()
        raise DetachedError("detached")

    async def _hand_over(self) -> None:
        assert self._shell is not None
        await self._detaching.hand_over(self._shell, terminal=self._plan.on_terminal)

    async def _let_go(self) -> int:
        """The shell is its keeper's from now on; the person is told how to come back."""
        assert self._shell is not None
        self._held.let_go()
        await self._way_in.close()
        await self._detaching.tell_how_to_come_back(self._shell, self._notices)
        if self._plan.detach:
            sys.stdout.write(f"{self._shell.session or self._shell.id}\n")
            sys.stdout.flush()
        return 0

    def _explain(self, error: DevBoxGpuError) -> tuple[int, str]:
        """Tells the person; the exit code and the reason for the last line."""
        if isinstance(error, StoppedBySignalError):
            self._notices.say(str(error) if self._attached_at is not None else self._cancelled())
            return error.exit_code, ""
        for line in error.lines():
            self._notices.say(line)
        return EXIT_CLIENT_FAILED, error.reason if isinstance(error, SessionEndedError) else ""

    def _cancelled(self) -> str:
        what = "leaving the line" if self._opening is not None and self._opening.waits else "closing the shell"
        return f"cancelled: {what} (Ctrl-C leaves at once)"

    async def _leave(self, ended_by: DevBoxGpuError | None) -> tuple[Shell | None, bool]:
        """Lets the program go, and then the session, unless others keep it; whether its folder came back."""
        came_back = True
        try:
            came_back = await self._use.leave(ended_by)
        finally:
            closed = await self._held.close()
        return closed, came_back

    def _say_farewell(self, closed: Shell | None, exit_code: int, reason: str) -> None:
        if self._shell is None or self._attached_at is None:
            return
        attached_s = time.monotonic() - self._attached_at
        said = end_line(self._shell, closed, attached_s=attached_s, exit_code=exit_code, reason=reason)
        self._notices.line(hanging(said, self._console.size().columns) if sys.stderr.isatty() else said)
