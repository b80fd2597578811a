"""Leaving a session: what is to be saved is saved before the session goes, where it goes."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable

from devboxgpu.agent_link import AgentLink
from devboxgpu.agent_services import HOOK, HOOK_LIMIT_S, run_hook
from devboxgpu.api import ControlPlane
from devboxgpu.errors import DevBoxGpuError
from devboxgpu.notices import Notices
from devboxgpu.stop import Signals, cancelled
from devboxgpu.wire import items_of

TOLD_AFTER_S = 1.0
PATIENCE_S = HOOK_LIMIT_S + 5.0
SIGNALLED_PATIENCE_S = 5.0
"""A closed terminal, or a system that goes down, gives this command little time; the agent goes on with the hook."""


async def save_before_leaving(
    api: ControlPlane,
    link: AgentLink,
    *,
    shell: str,
    session: str,
    is_over: bool,
    patience_s: float,
    signals: Signals,
    write: Callable[[bytes], Awaitable[None]],
    notices: Notices,
) -> None:
    """Runs the session's save hook, unless other shells keep the session. Ctrl-C goes on without waiting for it.

    `is_over`: the session is being stopped whoever has a shell in it, and whoever runs the hook, its output is shown.
    """
    if not is_over and await others_keep_it(api, shell, session):
        return
    skipped = asyncio.Event()

    def skip(number: int) -> bool:
        if number != signal.SIGINT or skipped.is_set():
            return False
        skipped.set()
        return True

    signals.taker = skip
    hook = asyncio.ensure_future(run_hook(link, write, notices))
    skipping = asyncio.ensure_future(skipped.wait())
    running = f"the save hook {HOOK} runs, for at most {HOOK_LIMIT_S} s (Ctrl-C goes on without it)"
    told = asyncio.get_running_loop().call_later(TOLD_AFTER_S, notices.say, running)
    try:
        await asyncio.wait({hook, skipping}, timeout=patience_s, return_when=asyncio.FIRST_COMPLETED)
        if not hook.done():
            notices.say(f"the save hook {HOOK} is not waited for any longer: what it has saved is unknown")
    finally:
        told.cancel()
        signals.taker = None
        await cancelled(hook)
        await cancelled(skipping)


async def others_keep_it(api: ControlPlane, shell: str, session: str) -> bool:
    """Whether shells other than this one are open in the session. Where that is unknown, it may be the last."""
    try:
        view = await asyncio.to_thread(api.get_session, session)
    except DevBoxGpuError:
        return False
    return any(other.get("closedAt") is None and other.get("id") != shell for other in items_of(view, "shells"))
