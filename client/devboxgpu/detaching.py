"""Leaving a program to itself: whether the project allows it, who keeps the shell, and how to come back."""

from __future__ import annotations

import asyncio
import shlex
import time
from collections.abc import Sequence
from datetime import UTC, datetime

from devboxgpu.api import ControlPlane
from devboxgpu.detached_store import DetachedShell, DetachedStore
from devboxgpu.errors import DevBoxGpuError, RefusedError
from devboxgpu.keeper_process import have_kept
from devboxgpu.notices import Notices
from devboxgpu.session_keys import stop_line
from devboxgpu.wire import Shell, mapping_of, number_of
from devboxgpu.wording import money

LONGEST_PROGRAM = 200


class DetachedError(DevBoxGpuError):
    """The person has left, and what runs goes on."""


class NotDetachedError(DevBoxGpuError):
    """The program cannot be left to itself here."""


async def refuse_where_not_allowed(api: ControlPlane) -> None:
    """Raises NotDetachedError where the project keeps nothing without a client. Where that is unknown, it may."""
    try:
        settings = await asyncio.to_thread(api.get_effective_settings)
    except DevBoxGpuError:
        return
    idle = mapping_of(mapping_of(settings, "settings") or settings, "idle")
    if idle is not None and number_of(idle, "graceMinutes") == 0:
        raise NotDetachedError(
            f"project {api.project} keeps no session without a client (idle.graceMinutes is 0), so nothing can be "
            "detached in it: a Dev Box that sleeps for a moment would end it. A project administrator can change that"
        )


def shown_program(arguments: Sequence[str]) -> str:
    return shlex.join(arguments)[:LONGEST_PROGRAM] if arguments else "the shell"


class Detaching:
    """Hands one shell over to a keeper."""

    def __init__(self, api: ControlPlane, endpoint: str, arguments: Sequence[str]) -> None:
        self._api, self._endpoint, self._program = api, endpoint, shown_program(arguments)
        self._store = DetachedStore()

    async def hand_over(self, shell: Shell, *, terminal: bool) -> None:
        """Returns once a keeper holds the shell's lease. Raises NotDetachedError or NotKeptError; then nothing is left
        of the try.
        """
        await refuse_where_not_allowed(self._api)
        record = DetachedShell(
            shell=shell.id,
            session=shell.session or shell.id,
            project=self._api.project,
            endpoint=self._endpoint,
            program=self._program,
            terminal=terminal,
            began_at=time.time(),
        )
        try:
            self._store.add(record)
            await have_kept(self._store, record)
        except OSError as error:
            raise NotDetachedError(f"it cannot be noted in {self._store.folder}: {error}") from None
        except DevBoxGpuError:
            self._store.remove(shell.id)
            raise

    async def tell_how_to_come_back(self, shell: Shell, notices: Notices) -> None:
        session, price = shell.session or shell.id, shell.price_an_hour
        notices.say(f"detached: {self._program} goes on in session {session}, which ends with it")
        notices.say(f"come back: devboxgpu attach {session}")
        notices.say(f"its output: devboxgpu sessions logs {session}")
        notices.say(f"stop it: devboxgpu sessions stop {session}")
        costs = f"it costs est. {money(price)}/h" if price is not None else "what it costs is not known"
        notices.say(f"{costs}, and {await self._next_stop(session)}")

    async def _next_stop(self, session: str) -> str:
        try:
            view = await asyncio.to_thread(self._api.get_session, session)
        except (RefusedError, DevBoxGpuError):
            return "when the project's rules stop it is not known"
        return stop_line(view, datetime.now(UTC)) or "when the project's rules stop it is not known"
