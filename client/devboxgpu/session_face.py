"""What a person's terminal shows of a session beside its output: title, ring, bell, and the warnings before a stop.

Our sequences stand only between the remote's characters and sequences, and never within a write of its output. A title
that the remote sets stays until our next one, a minute later at most; one that a full-screen program has set stays
until that program ends, unless the session stops within five minutes.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from devboxgpu.countdown import Countdown, Warned
from devboxgpu.gate import Gate
from devboxgpu.running_cost import Meter
from devboxgpu.title import Ring, TerminalSigns
from devboxgpu.told_once import ToldOnce
from devboxgpu.wire import LeaseRenewal, Shell
from devboxgpu.wording import minutes, money

OFTEN_S, SELDOM_S = 10.0, 60.0


class SessionFace:
    """Used in one event loop; `heard` is given what the lease's renewals answer."""

    def __init__(
        self,
        *,
        project: str,
        shell: Shell,
        gate: Gate,
        signs: TerminalSigns,
        say: Callable[[str], None],
        clock: Callable[[], float] = time.time,
        told_once: ToldOnce | None = None,
    ) -> None:
        session = shell.session or shell.id
        self._names = [name for name in (shell.gpu_type, project) if name]
        self._gate, self._signs, self._say, self._clock = gate, signs, say, clock
        self._meter = Meter.of(shell, clock())
        self._countdown = Countdown(session=session, has_keys=True)
        self._told_once = told_once or ToldOnce(session)
        self._shown_at = float("-inf")

    def heard(self, renewal: LeaseRenewal) -> None:
        now = self._clock()
        by_their_clock = renewal.answered_at.timestamp() if renewal.answered_at else now
        stops_in_s = None if renewal.stops_at is None else renewal.stops_at.timestamp() - by_their_clock
        was_warned = self._countdown.is_warned
        self._tell(self._countdown.heard(stops_in_s, renewal.stop_reason, renewal.warnings, now))
        if self._countdown.is_warned != was_warned:
            self._show(now)

    async def keep(self) -> None:
        """Keeps title and countdown up to date for as long as it is awaited; cancelled, it leaves them as they are."""
        while True:
            self.tick()
            await asyncio.sleep(OFTEN_S)

    def tick(self) -> None:
        now = self._clock()
        self._tell(self._countdown.tick(now))
        if self._countdown.is_close(now) or now - self._shown_at >= SELDOM_S:
            self._show(now)

    def close(self) -> None:
        """Everything of ours is taken back."""
        self._signs.restore()
        self._gate.force()

    def _show(self, now: float) -> None:
        self._signs.ring(Ring.WARNING if self._countdown.is_warned else Ring.OFF)
        self._shown_at = now
        output = self._gate.output
        if output.titled and output.full_screen and not self._countdown.is_close(now):
            return
        if not output.full_screen:
            output.titled = False
        self._signs.title(self.title_text(now))

    def title_text(self, now: float) -> str:
        """`T4 · demo · 42 min · est. 0.41 USD · stops in 5 min (idle)`."""
        cost = self._meter.cost(now)
        spent = f"est. {money(cost)}" if cost is not None else "cost unknown"
        parts = [*self._names, minutes(self._meter.seconds(now)), spent, self._countdown.shown(now)]
        return " · ".join(part for part in parts if part)

    def _tell(self, warned: list[Warned]) -> None:
        for one in warned:
            self._say(one.text)
            if self._told_once.is_first(one.key):
                self._signs.bell()
