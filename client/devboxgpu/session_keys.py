"""What ~i and ~e do: the session in a few lines, and more time for it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Protocol

from devboxgpu.countdown import EXTENSION_MINUTES
from devboxgpu.errors import DevBoxGpuError, UnreachableError
from devboxgpu.escape_keys import Escape
from devboxgpu.terminal_session import KeyActions
from devboxgpu.wire import Json, Money, instant_of, items_of, mapping_of, number_of, text_of
from devboxgpu.wording import duration, left, money, printable, stop_word


class SessionService(Protocol):
    def get_session(self, session: str) -> Json: ...
    def extend_session(self, session: str, *, minutes: float) -> Json: ...


def key_actions(api: SessionService, session: str, shell: str) -> KeyActions:
    keys = SessionKeys(api, session, shell)
    return {Escape.INFO: keys.on_info, Escape.EXTEND: keys.on_extend}


class SessionKeys:
    """Both answer with lines to show, and with why not where the control plane refuses or is silent."""

    def __init__(self, api: SessionService, session: str, shell: str) -> None:
        self._api, self._session, self._shell = api, session, shell

    async def on_info(self) -> list[str]:
        try:
            session = await asyncio.to_thread(self._api.get_session, self._session)
        except DevBoxGpuError as error:
            return [f"the session's facts are unknown: {line}" for line in error.lines()[:1]]
        return list(info_lines(session, self._shell, datetime.now(UTC)))

    async def on_extend(self) -> list[str]:
        try:
            extended = await asyncio.to_thread(self._api.extend_session, self._session, minutes=EXTENSION_MINUTES)
        except DevBoxGpuError as error:
            unknown = isinstance(error, UnreachableError) and error.may_have_taken_hold
            said = "whether it was extended is unknown (Enter ~i tells)" if unknown else "not extended"
            return [f"{said}: {line}" for line in error.lines()[:1]]
        return [f"extended: {stop_line(extended, datetime.now(UTC)) or 'when it stops now is not known'}"]


def info_lines(session: Json, shell: str, now: datetime) -> Iterator[str]:
    """The session as lines of at most four facts; a fact that is unknown is called so where its absence misleads."""
    yield _line(f"session {text_of(session, 'id') or 'without a name'}", text_of(session, "state"))
    yield _line(*_gpu(session))
    yield _line(_idle(session, now), stop_line(session, now) or "when it stops is not known")
    others = [one for one in items_of(session, "shells") if text_of(one, "id") != shell and "closedAt" not in one]
    if others:
        yield f"{len(others)} other shell{'s' if len(others) > 1 else ''} in it: it goes on when this one is closed"


def _gpu(session: Json) -> Iterator[str | None]:
    gpu, region = text_of(session, "gpuType") or "GPU unknown", text_of(session, "region")
    lasted_s = number_of(session, "durationSeconds")
    price = Money.read(mapping_of(session, "price"), "amountPerHour")
    cost = Money.read(mapping_of(session, "cost"), "amount")
    yield f"{gpu} in {region}" if region else gpu
    yield None if lasted_s is None else duration(lasted_s)
    yield f"est. {money(cost)} so far" if cost else "cost unknown"
    yield f"{money(price)}/h" if price else None


def _idle(session: Json, now: datetime) -> str | None:
    """How long ago the control plane last knew of activity."""
    last = instant_of(session, "lastActivityAt")
    return f"idle for {duration(max(0.0, (now - last).total_seconds()))}" if last else None


def stop_line(session: Json, now: datetime) -> str | None:
    """`stops at 22:05 (in 27 min): idle`, the time of day being that of the person's clock."""
    at, reason = instant_of(session, "stopsAt"), text_of(session, "stopReason")
    if at is None:
        return None
    said = f"stops at {at.astimezone():%H:%M} ({left((at - now).total_seconds())})"
    return f"{said}: {stop_word(reason)}" if reason else said


def _line(*parts: str | None) -> str:
    return printable(" · ".join(part for part in parts if part))
