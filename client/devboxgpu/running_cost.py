"""How long a session has run by now and what that costs, counted on from what the service said last."""

from __future__ import annotations

from dataclasses import dataclass

from devboxgpu.wire import Money, Shell
from devboxgpu.wording import cost_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Meter:
    began_at: float
    """Seconds of the clock that is asked with later: when the replica began to cost, as well as is known."""
    price_an_hour: Money | None

    @classmethod
    def of(cls, shell: Shell, now: float) -> Meter:
        return cls(began_at=now - (shell.duration_s or 0.0), price_an_hour=shell.price_an_hour)

    def seconds(self, now: float) -> float:
        return max(0.0, now - self.began_at)

    def cost(self, now: float) -> Money | None:
        """None where the price is unknown, which is not nothing."""
        return None if self.price_an_hour is None else cost_of(self.price_an_hour, self.seconds(now))
