"""What the agent does for a shell beside its program: says what is going on, warns, and saves before a stop."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from devboxgpu.activity import Activity
from devboxgpu.agent_link import AgentLink
from devboxgpu.errors import DevBoxGpuError
from devboxgpu.notices import Notices
from devboxgpu.wire import number_of
from devboxgpu.wording import duration, printable

STATUS_EVERY_S = 20
WARNING_S = 2.0
HOOK_LIMIT_S = 60
HOOK = "~/.devboxgpu/on-stop"


async def feed_activity(link: AgentLink, activity: Activity) -> None:
    """Tells `activity` what the agent sees, for as long as the link lasts."""
    status = await link.open({"what": "status", "every_s": STATUS_EVERY_S})
    while (seen := await status.next_message()) is not None:
        busy = number_of(seen, "busy")
        activity.observed(
            number_of(seen, "gpu_percent"), None if busy is None else int(busy), number_of(seen, "terminal_s")
        )


async def warn(link: AgentLink | None, program: str, text: str, notices: Notices) -> None:
    """A line above the prompt of the program; where the agent cannot be asked, a line as it is."""
    if link is None or not link.is_connected or not await _warned(link, program, text):
        notices.say(text)


async def _warned(link: AgentLink, program: str, text: str) -> bool:
    try:
        async with asyncio.timeout(WARNING_S):
            stream = await link.open({"what": "warn", "program": program, "text": f"devboxgpu: {printable(text)}"})
            return "error" not in await stream.result()
    except (DevBoxGpuError, TimeoutError):
        return False


async def run_hook(link: AgentLink, write: Callable[[bytes], Awaitable[None]], notices: Notices) -> None:
    """Runs the save hook, whose output is written as it comes; one that fails is told, and stops nothing."""
    try:
        stream = await link.open({"what": "hook", "limit_s": HOOK_LIMIT_S})
        while (piece := await stream.read()) is not None:
            await write(piece[0])
        result = await stream.result()
    except DevBoxGpuError as error:
        notices.say(f"whether the save hook {HOOK} has run is unknown: {error}")
        return
    if isinstance(error_ := result.get("error"), dict):
        notices.say(f"the save hook {HOOK} did not run: {error_.get('message')}")
    elif result.get("ran") is True and result.get("exit") != 0:
        code, seconds = result.get("exit"), number_of(result, "seconds") or 0.0
        how = "took too long and was ended" if code is None else f"failed with exit code {code}"
        notices.say(f"the save hook {HOOK} {how} after {duration(seconds)}; its output is in {HOOK}.log")
