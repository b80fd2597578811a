"""From a running session to an open exec socket: a fresh token for each try, and patience."""

from __future__ import annotations

import asyncio
import logging
import random
import time

from devboxgpu.api import ControlPlane
from devboxgpu.attachment import Attachment, Begin
from devboxgpu.errors import ConnectionLostError, RefusedError, UnreachableError
from devboxgpu.exec_socket import BarredError, DroppedError, NotReadyError, open_socket
from devboxgpu.lease import ended_by
from devboxgpu.session_end import raise_if_over

log = logging.getLogger(__name__)

PATIENCE_S = 60.0
FIRST_BACKOFF_S = 0.2
LONGEST_BACKOFF_S = 5.0


class Connector:
    def __init__(self, api: ControlPlane, shell: str) -> None:
        self._api = api
        self._shell = shell

    async def attach(self, command: str, begin: Begin, *, patience_s: float = PATIENCE_S) -> Attachment:
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
            except BarredError as error:
                raise ConnectionLostError(str(error)) from None
            await asyncio.sleep(wait_s)
            backoff_s = min(backoff_s * 2, LONGEST_BACKOFF_S)

    async def _attempt(self, command: str, begin: Begin) -> Attachment:
        try:
            access = await asyncio.to_thread(self._api.connect_shell, self._shell)
        except RefusedError as refused:
            if refused.code == "ShellEnded" or refused.status == 404:
                raise ended_by(refused) from None
            if refused.code != "ShellNotReady":
                raise
            raise_if_over(await asyncio.to_thread(self._api.get_shell, self._shell))
            raise NotReadyError(str(refused)) from None
        socket = await open_socket(access, command)
        try:
            return await begin(socket)
        except BaseException:
            await socket.close()
            raise
