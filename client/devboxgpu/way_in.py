"""How a shell's program is started and reached: through the agent, or by exec itself where there can be none."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence

from devboxgpu.agent_bootstrap import NoAgentError
from devboxgpu.agent_link import AgentLink
from devboxgpu.agent_program import AgentProgram, program_request
from devboxgpu.attachment import Attachment, as_it_is, with_script
from devboxgpu.connector import Connector
from devboxgpu.console import Size
from devboxgpu.detaching import NotDetachedError
from devboxgpu.errors import ConnectionLostError
from devboxgpu.plain_remote import PlainPipes, PlainTerminal
from devboxgpu.progress import Progress
from devboxgpu.reconnection import Reconnection
from devboxgpu.remote import Remote
from devboxgpu.remote_command import LOGIN_SHELL, READ_ONE_LINE, SCRIPT_SHELL, piped_script, terminal_script
from devboxgpu.sync import Sync, SyncError

REPLAY = 256 * 1024
"""Bytes of past output that are shown to who comes back; the newest screen of a program needs far less."""


class WayIn:
    """One program in the session. `link` is there once it has started through the agent."""

    def __init__(
        self,
        connector: Connector,
        shell: str,
        arguments: Sequence[str],
        *,
        on_terminal: bool,
        size: Callable[[], Size],
        sync: Sync | None = None,
        detached: bool = False,
    ) -> None:
        """`detached`: the program is to go on by itself as soon as it has its input."""
        self._detached = detached
        self._connector, self._shell, self._arguments = connector, shell, arguments
        self.on_terminal, self._size, self._sync = on_terminal, size, sync
        self.link: AgentLink | None = None
        self.without_agent = ""
        """Why there is no agent in this container; what is missing then is to be told."""

    @property
    def is_command(self) -> bool:
        """Whether a command was asked for, rather than a shell."""
        return bool(self._arguments)

    async def start(self, progress: Progress) -> Remote:
        """Starts the program, where its folder has been taken along. Raises as Connector.attach does, or SyncError."""
        try:
            self.link = await self._connector.link()
        except NoAgentError as error:
            self.without_agent = str(error)
            if self._sync is not None:
                raise SyncError(f"--sync needs the agent, and this container cannot have it: {error}") from None
            if self._detached:
                raise NotDetachedError(
                    f"only the agent lets a program go on, and this container has none: {error}"
                ) from None
            return await self._plain()
        arguments = self._arguments or (None if self.on_terminal else SCRIPT_SHELL)
        request = program_request(self._shell, arguments, terminal=self.on_terminal, size=self._size())
        if self._detached:
            request |= {"detached": True, "lossy": True}
        if self._sync is not None:
            await self._take_along(self._sync, self.link, progress)
            request["directory"] = self._sync.directory
        return AgentProgram(self.link, await self.link.open(request))

    async def come_back(self) -> Remote:
        """Looks on at the program that runs on a terminal already. Raises as Connector.attach does."""
        link = await self.join()
        size = self._size()
        request = {"what": "program", "program": self._shell, "attach": True, "replay": REPLAY}
        return AgentProgram(link, await link.open({**request, "columns": size.columns, "rows": size.rows}))

    async def join(self) -> AgentLink:
        """Only the link. Raises as Connector.attach does, ConnectionLostError where there is no agent any more."""
        try:
            self.link = await self._connector.link()
        except NoAgentError as error:
            raise ConnectionLostError(f"the container's agent cannot be reached: {error}") from None
        return self.link

    async def _take_along(self, sync: Sync, link: AgentLink, progress: Progress) -> None:
        progress.enter("Syncing", sync.folder)
        await sync.before(link, lambda text: progress.enter("Syncing", sync.folder, aside=text), progress.note)

    def watch(self, remote: Remote, reconnection: Reconnection) -> None:
        """Tells `reconnection` of connections that break."""
        source = self.link if self.link is not None else remote
        if isinstance(source, AgentLink | PlainTerminal):
            source.on_lost, source.on_back = reconnection.lost, reconnection.back

    def missing(self) -> str:
        """What is not to be had without the agent, for the person; nothing where there is one."""
        if not self.without_agent:
            return ""
        lost = "a dropped connection ends it"
        if not self.on_terminal:
            lost += ", and standard error comes mixed with output"
        return f"no agent in this container ({self.without_agent}): {lost}"

    async def close(self) -> None:
        if self.link is not None:
            await self.link.close()

    async def _plain(self) -> Remote:
        if not self.on_terminal:
            return PlainPipes(await self._attach())
        # A command is not run twice behind the person's back; a shell may be.
        return PlainTerminal(await self._attach(), None if self._arguments else self._attach)

    async def _attach(self) -> Attachment:
        size = self._size()
        if not self.on_terminal:
            script = piped_script(self._arguments or SCRIPT_SHELL, output_is_terminal=sys.stdout.isatty())
            return await self._connector.attach(READ_ONE_LINE, with_script(size, script))
        if self._arguments:
            return await self._connector.attach(READ_ONE_LINE, with_script(size, terminal_script(self._arguments)))
        return await self._connector.attach(LOGIN_SHELL, as_it_is(size))
