"""What the escape keys ask of the control plane: how the session stands, and to keep it for longer."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from devboxgpu.api import ControlPlane
from devboxgpu.escape_keys import Escape
from devboxgpu.explanation import next_stop
from devboxgpu.terminal_session import KeyActions
from devboxgpu.wire import Json, Money, instant_of, mapping_of, number_of, text_of
from devboxgpu.wording import duration, moment, money

EXTENSION_MINUTES = 30.0


def key_actions(api: ControlPlane, session: str) -> KeyActions:
    async def info() -> Sequence[str]:
        return info_lines(session, await asyncio.to_thread(api.get_session, session))

    async def extend() -> Sequence[str]:
        extended = await asyncio.to_thread(lambda: api.extend_session(session, minutes=EXTENSION_MINUTES))
        return [next_stop(session, extended)]

    return {Escape.INFO: info, Escape.EXTEND: extend}


def info_lines(session: str, view: Json) -> list[str]:
    """Where it runs, for how long and how much, and when it stops; what is not known is left out."""
    price, cost = Money.read(mapping_of(view, "price"), "amountPerHour"), Money.read(mapping_of(view, "cost"), "amount")
    lasted_s = number_of(view, "durationSeconds")
    stops_at, reason = instant_of(view, "stopsAt"), text_of(view, "stopReason")
    what = [text_of(view, "gpuType"), text_of(view, "region"), f"est. {money(price)}/h" if price else None]
    so_far = [duration(lasted_s) if lasted_s is not None else None, f"est. {money(cost)}" if cost else None]
    stop = f"stops at {moment(stops_at)}" + (f" ({reason})" if reason else "") if stops_at else None
    lines = (" · ".join(part for part in parts if part) for parts in ([f"session {session}", *what], so_far, [stop]))
    return [line for line in lines if line]
