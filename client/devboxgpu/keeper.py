"""Keeps a detached shell: its lease, its output, and at its program's end the save hook and the close of the shell."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import time
from typing import Any

from devboxgpu.activity import Activity
from devboxgpu.agent_bootstrap import NoAgentError
from devboxgpu.agent_link import AgentLink
from devboxgpu.agent_services import HOOK_LIMIT_S, feed_activity, run_hook, warn
from devboxgpu.api import ControlPlane
from devboxgpu.connector import Connector
from devboxgpu.detached_store import DetachedShell, DetachedStore
from devboxgpu.errors import DevBoxGpuError, RefusedError, SessionEndedError
from devboxgpu.farewell import cost_text
from devboxgpu.lease import LeaseKeeper
from devboxgpu.leaving import others_keep_it
from devboxgpu.notices import Notices
from devboxgpu.output_log import OutputLog
from devboxgpu.renewals import OverheardRenewals
from devboxgpu.stop import Stop, cancelled
from devboxgpu.wire import LeaseRenewal, Shell, items_of

log = logging.getLogger(__name__)

FIRST_BACKOFF_S, LONGEST_BACKOFF_S = 1.0, 30.0
SEEN_OUT_S = 15.0
"""How long whoever looks on has, after the program's end, to get the rest of its output."""
LOOK_EVERY_S = 0.25
CLOSING_TRIES = 5


class ProgramGoneError(DevBoxGpuError):
    """The agent does not know the program: it was killed with the agent that ran it."""


class Keeper:
    """One shell's. Made and run within one event loop, by who holds the shell's lock."""

    def __init__(self, api: ControlPlane, store: DetachedStore, record: DetachedShell) -> None:
        self._api, self._store, self._shell, self._session = api, store, record.shell, record.session
        self._terminal = record.terminal
        self._notices = Notices()
        self._activity = Activity()
        self._connector = Connector(api, record.shell, active_s=self._activity.seconds_ago)
        self._output = OutputLog(store.log_files(record.shell))
        self._stop = Stop()
        self._link: AgentLink | None = None
        self._is_kept = False
        self._warnings: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Until the session is over; then everything that is known of it is in the store."""
        self._store.update(self._shell, keeper_pid=os.getpid(), kept_since=None)
        lease = self._keep_lease()
        try:
            await self._finish(await self._stop.unless_stopped(self._watch()))
        except SessionEndedError as error:
            await self._note_end(str(error), reason=error.reason)
        except ProgramGoneError as error:
            await self._close(str(error))
        finally:
            lease.stop()
            self._output.close()
            if self._link is not None:
                await self._link.close()

    def _keep_lease(self) -> LeaseKeeper:
        loop = asyncio.get_running_loop()

        def heard(_renewal: LeaseRenewal) -> bool:
            loop.call_soon_threadsafe(self._kept)
            return False

        def tell(text: str) -> None:
            loop.call_soon_threadsafe(self._warn, text)

        lease = LeaseKeeper(
            OverheardRenewals(self._api, heard),
            self._shell,
            activity=self._activity,
            first_after_s=0.0,
            tell=tell,
            ended=self._stop.request_from_thread,
        )
        lease.start()
        return lease

    def _kept(self) -> None:
        if not self._is_kept:
            self._is_kept = True
            self._store.update(self._shell, kept_since=time.time())

    def _warn(self, text: str) -> None:
        """For whoever is attached; and it is in the keeper's log."""
        self._notices.say(text)
        if self._terminal and self._link is not None:
            warning = asyncio.ensure_future(warn(self._link, self._shell, text, self._notices))
            self._warnings.add(warning)
            warning.add_done_callback(self._warnings.discard)

    async def _watch(self) -> int:
        """The program's exit code, over any number of links. Raises SessionEndedError, ProgramGoneError."""
        backoff_s = FIRST_BACKOFF_S
        while True:
            try:
                self._link = await self._connector.link()
                backoff_s = FIRST_BACKOFF_S
                return await self._follow(self._link)
            except (SessionEndedError, ProgramGoneError):
                raise
            except (DevBoxGpuError, NoAgentError) as error:
                self._notices.say(f"no way to the program, trying again: {error}")
            await asyncio.sleep(backoff_s)
            backoff_s = min(2 * backoff_s, LONGEST_BACKOFF_S)

    async def _follow(self, link: AgentLink) -> int:
        request = {"what": "log", "program": self._shell, "offset": self._output.offset, "follow": True}
        stream = await link.open(request)

        async def count_skipped() -> None:
            while (message := await stream.next_message()) is not None:
                if isinstance(skipped := message.get("skipped"), int):
                    self._output.skip(skipped)

        beside = [asyncio.ensure_future(work) for work in (feed_activity(link, self._activity), count_skipped())]
        try:
            while (piece := await stream.read()) is not None:
                self._save(*piece)
            return _exit_code(await stream.result())
        finally:
            for work in beside:
                await cancelled(work)

    def _save(self, data: bytes, is_error: bool) -> None:
        try:
            self._output.append(data, is_error=is_error)
        except OSError as error:  # the program matters more than its log
            log.warning("output of %d bytes is not kept: %s", len(data), error)

    async def _finish(self, exit_code: int) -> None:
        self._store.update(self._shell, exit_code=exit_code)
        link = self._link
        if link is not None and link.failure is None:
            with contextlib.suppress(DevBoxGpuError, TimeoutError):
                async with asyncio.timeout(SEEN_OUT_S):
                    await self._seen_out(link)
            if not await others_keep_it(self._api, self._shell, self._session):
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(HOOK_LIMIT_S + 5.0):
                        await run_hook(link, self._write_aside, self._notices)
        await self._close("its program ended")

    async def _seen_out(self, link: AgentLink) -> None:
        """Waits until nobody reads the program's output any more."""
        status = await link.open({"what": "status", "every_s": LOOK_EVERY_S})
        while (seen := await status.next_message()) is not None:
            mine = [program for program in items_of(seen, "programs") if program.get("program") == self._shell]
            if not any(program.get("watched") for program in mine):
                break
        status.close()

    async def _write_aside(self, data: bytes) -> None:
        self._notices.write(data.decode(errors="replace"))

    async def _close(self, note: str) -> None:
        """Ends the shell. Where that cannot be said, the lease, which is renewed no more, ends it."""
        for attempt in range(CLOSING_TRIES):
            try:
                closed = await asyncio.to_thread(self._api.close_shell, self._shell)
            except DevBoxGpuError as error:
                self._notices.say(f"the shell could not be closed: {error}")
                await asyncio.sleep(2.0**attempt)
            else:
                self._note(closed, note, "")
                return
        self._note(None, f"{note}; the shell could not be closed, so its session ends when its lease lapses", "")

    async def _note_end(self, note: str, *, reason: str) -> None:
        shell: Shell | None = None
        with contextlib.suppress(RefusedError, DevBoxGpuError):
            shell = await asyncio.to_thread(self._api.get_shell, self._shell)
        self._note(shell, note, reason)

    def _note(self, shell: Shell | None, note: str, reason: str) -> None:
        known = (shell.end_reason or shell.stop_reason or reason) if shell is not None else reason
        cost, lasted_s = ("", None) if shell is None else (cost_text(shell), shell.duration_s)
        self._store.update(
            self._shell, ended_at=time.time(), end_note=note, end_reason=known or "", cost=cost, lasted_s=lasted_s
        )


def _exit_code(result: dict[str, Any]) -> int:
    if isinstance(code := result.get("exit"), int):
        return code
    error = result.get("error")
    said = error if isinstance(error, dict) else {}
    if said.get("code") == "ProgramUnknown":
        raise ProgramGoneError("its program is gone, with the agent that ran it: its exit code is unknown")
    raise DevBoxGpuError(f"the agent does not tell the program's output: {said.get('message')}")
