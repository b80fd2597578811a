"""From a running session to an open exec socket, and to the agent: a fresh token for each try, and patience."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from devboxgpu.agent_bootstrap import CarriedFile, NoAgentError, start_agent
from devboxgpu.agent_link import AgentLink
from devboxgpu.agent_wire import SIZE, Hello, LinkRefusedError, NoAnswerError, Wire, greet
from devboxgpu.api import ControlPlane
from devboxgpu.errors import ConnectionLostError, RefusedError, UnreachableError
from devboxgpu.exec_socket import BarredError, DroppedError, ExecSocket, NotReadyError, open_socket
from devboxgpu.incoming import Incoming
from devboxgpu.lease import ended_by
from devboxgpu.remote_command import READ_ONE_LINE
from devboxgpu.session_end import raise_if_over
from devboxgpu.wording import printable

log = logging.getLogger(__name__)

PATIENCE_S = 60.0
ANSWER_PATIENCE_S = 30.0
FIRST_BACKOFF_S = 0.2
LONGEST_BACKOFF_S = 5.0
PASSING_STATUSES = frozenset({429, 500, 502, 503, 504})

Made = TypeVar("Made")
Begin = Callable[[ExecSocket], Awaitable[Made]]
"""Makes something of a fresh socket. Raises NotReadyError or DroppedError where a new socket may do better."""


class Connector:
    def __init__(self, api: ControlPlane, shell: str, *, active_s: Callable[[], int] | None = None) -> None:
        """`active_s`: for who connects without a person, how long ago something last happened."""
        self._api, self._active_s = api, active_s
        self._shell = shell
        self._silence_s: float | None = None  # as the control plane last said

    async def attach(self, command: str, begin: Begin[Made], *, patience_s: float = PATIENCE_S) -> Made:
        """Starts `command` in the session, a new process.

        Raises SessionEndedError when the session is over, RefusedError for any other "no" of the control plane, and
        ConnectionLostError when patience has run out.
        """
        give_up_at = time.monotonic() + patience_s
        backoff_s = FIRST_BACKOFF_S
        while True:
            try:
                return await self._attempt(command, begin)
            except (NotReadyError, DroppedError, UnreachableError) as error:
                log.debug("not connected: %s", error)
                wait_s = backoff_s * random.uniform(0.5, 1.0)  # noqa: S311 - jitter
                if time.monotonic() + wait_s > give_up_at:
                    raise ConnectionLostError(
                        f"no connection to the session within {patience_s:.0f} s: {error}"
                    ) from None
            await asyncio.sleep(wait_s)
            backoff_s = min(backoff_s * 2, LONGEST_BACKOFF_S)

    async def link(self) -> AgentLink:
        """A link to the agent, which is put into the container where it is not there yet.

        Raises NoAgentError where the container cannot have it, else as `attach`.
        """
        from devboxgpu.agent_file import agent_file

        file = await asyncio.to_thread(agent_file)
        link = AgentLink(lambda hello: self._attempt(READ_ONE_LINE, self._greeting(file, hello)))
        try:
            link.start(await self.attach(READ_ONE_LINE, self._greeting(file, link.hello)))
        except (NoAnswerError, LinkRefusedError) as error:
            raise NoAgentError(f"it does not start: {printable(str(error))}") from None
        return link

    async def _attempt(self, command: str, begin: Begin[Made]) -> Made:
        active_s = self._active_s() if self._active_s is not None else None
        try:
            access = await asyncio.to_thread(lambda: self._api.connect_shell(self._shell, active_seconds_ago=active_s))
        except RefusedError as refused:
            if refused.code == "ShellEnded" or refused.status == 404:
                raise ended_by(refused) from None
            if refused.status in PASSING_STATUSES:
                raise NotReadyError(str(refused)) from None
            if refused.code != "ShellNotReady":
                raise
            raise_if_over(await asyncio.to_thread(self._api.get_shell, self._shell))
            raise NotReadyError(str(refused)) from None
        self._silence_s = access.silence_s
        try:
            socket = await open_socket(access, command)
        except BarredError as error:
            raise ConnectionLostError(str(error)) from None
        try:
            return await begin(socket)
        except BaseException:
            await socket.close()
            raise

    def _greeting(self, file: CarriedFile, hello: Hello) -> Begin[Wire]:
        async def begin(socket: ExecSocket) -> Wire:
            hello.silence_s = self._silence_s
            try:
                async with asyncio.timeout(ANSWER_PATIENCE_S):
                    await socket.resize(SIZE)
                    output = Incoming(socket.output())
                    await start_agent(socket, output, file)
                    return await greet(socket, output, hello)
            except TimeoutError:
                raise NotReadyError(f"the container's shell did not answer within {ANSWER_PATIENCE_S:.0f} s") from None

        return begin
