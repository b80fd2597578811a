"""Through which of my open shells a verb reaches a session: only a shell's owner gets a way in."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from devboxgpu.agent_bootstrap import NoAgentError
from devboxgpu.agent_link import AgentLink
from devboxgpu.api import ControlPlane
from devboxgpu.connector import Connector
from devboxgpu.errors import EXIT_NOT_FOUND, DevBoxGpuError
from devboxgpu.wire import Json, Shell, text_of
from devboxgpu.wording import end_reason, printable

RUNNING = "Running"


class NoSessionError(DevBoxGpuError):
    """There is no running session of mine, or not that one."""

    exit_code = EXIT_NOT_FOUND


class NoAgentInSessionError(DevBoxGpuError):
    """The container cannot run the agent."""


def find_shell(api: ControlPlane, session: str | None) -> Shell:
    """A running shell of the caller's in that session; without one, in the session that was opened last.

    Raises NoSessionError where there is none, and says what there is instead.
    """
    shells = [found for found in api.list_shells() if session is None or text_of(found, "session") == session]
    running = [found for found in shells if text_of(found, "state") == RUNNING]
    if running:
        return Shell.read(max(running, key=_opened))
    raise NoSessionError(_nothing_runs(max(shells, key=_opened, default=None), session))


def _opened(shell: Json) -> str:
    # RFC 3339 in UTC: what sorts as text sorts in time.
    return text_of(shell, "createdAt") or ""


def _nothing_runs(newest: Json | None, session: str | None) -> str:
    which = f"session {printable(session)}" if session is not None else "your newest session"
    if newest is None and session is None:
        return "no session of yours is running; 'devboxgpu shell' opens one"
    if newest is None:
        return f"you have no open shell in {which}; 'devboxgpu sessions list' shows what runs"
    shell = Shell.read(newest)
    if shell.is_over:
        reason = shell.end_reason or shell.stop_reason
        why = end_reason(reason) if reason else "the control plane does not say why"
        name = f" ({shell.session})" if session is None and shell.session else ""
        return f"{which}{name} is over: {why}; 'devboxgpu shell' opens another one"
    return f"{which} is not running yet: it is {shell.phase or shell.state}"


@asynccontextmanager
async def session_link(api: ControlPlane, shell: Shell) -> AsyncIterator[AgentLink]:
    """A link to the agent of the shell's session, which is closed at the end.

    Raises SessionEndedError, ConnectionLostError, or NoAgentInSessionError.
    """
    try:
        link = await Connector(api, shell.id).link()
    except NoAgentError as error:
        raise NoAgentInSessionError(
            f"files and ports need Python 3.8 or newer in the container, and it has none that can be used: {error}"
        ) from None
    try:
        yield link
    finally:
        await link.close()
