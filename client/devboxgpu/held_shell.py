"""A shell of ours at the control plane: asked for, kept by its lease, and closed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from devboxgpu.activity import Activity
from devboxgpu.api import ControlPlane, Opened
from devboxgpu.errors import ConfigurationError, DevBoxGpuError, RefusedError, SessionEndedError, UnreachableError
from devboxgpu.identifiers import new_shell_id
from devboxgpu.lease import DEFAULT_RENEWAL_S, LeaseKeeper
from devboxgpu.notices import Notices
from devboxgpu.renewals import OverheardRenewals
from devboxgpu.session_end import raise_if_over
from devboxgpu.wire import LeaseRenewal, Shell

OPEN_CALL_PATIENCE_S = 15.0
HTTP_SERVER_ERROR = 500
RENEWALS_A_LEASE = 4


class HeldShell:
    """One shell. Used within one event loop."""

    def __init__(self, api: ControlPlane, notices: Notices) -> None:
        self._api, self._notices = api, notices
        self.id = new_shell_id()
        self._opening_call: asyncio.Task[Opened] | None = None
        self._lease: LeaseKeeper | None = None

    async def ask(self, request: Mapping[str, object]) -> Opened:
        """Asks for it once, with the body of OpenShell. Raises RefusedError or UnreachableError."""
        call = asyncio.to_thread(self._api.open_shell, self.id, request)
        self._opening_call = asyncio.create_task(call)
        return await asyncio.shield(self._opening_call)

    def keep(
        self,
        shell: Shell,
        activity: Activity,
        *,
        heard: Callable[[LeaseRenewal], bool],
        tell: Callable[[str], None],
        ended: Callable[[SessionEndedError], None],
    ) -> None:
        """Renews its lease from now on. The three are called from another thread."""
        first_s = DEFAULT_RENEWAL_S if shell.lease_s is None else shell.lease_s / RENEWALS_A_LEASE
        self._lease = LeaseKeeper(
            OverheardRenewals(self._api, heard),
            self.id,
            activity=activity,
            first_after_s=max(0.0, min(DEFAULT_RENEWAL_S, first_s)),
            tell=tell,
            ended=ended,
        )
        self._lease.start()

    def let_go(self) -> None:
        """Renews it no longer: it is closed, or another has it."""
        if self._lease is not None:
            self._lease.stop()

    async def raise_if_stopped(self) -> None:
        """Raises SessionEndedError where its session is stopping or has ended; says so where that is unknown."""
        try:
            raise_if_over(await asyncio.to_thread(self._api.get_shell, self.id))
        except (RefusedError, UnreachableError) as error:
            self._notices.say(f"whether the session was stopped is unknown: {error}")

    async def close(self) -> Shell | None:
        """Closes it, if it can exist, and says what is left to the lease when that fails."""
        self.let_go()
        if not await self._may_exist():
            return None
        try:
            return await asyncio.to_thread(self._api.close_shell, self.id)
        except DevBoxGpuError as error:
            self._notices.say(f"the shell could not be closed ({error}): its session ends when its lease lapses")
            return None

    async def _may_exist(self) -> bool:
        """A request that is still under way is waited for, so that its shell is not created after it was closed."""
        if self._opening_call is None:
            return False
        await asyncio.wait({self._opening_call}, timeout=OPEN_CALL_PATIENCE_S)
        if not self._opening_call.done():
            return True
        match self._opening_call.exception():
            case RefusedError(status=status):
                return status >= HTTP_SERVER_ERROR
            case UnreachableError(may_have_taken_hold=perhaps):
                return perhaps
            case ConfigurationError():
                return False
            case _:
                return True
