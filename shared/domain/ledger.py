"""The ledger: what a project has reserved, who has used how much, and how long sessions lately lasted."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal

from shared.domain.fairness import Shares
from shared.domain.names import SessionId, UserId
from shared.domain.pricing import GpuType
from shared.domain.settings import LineSettings

DURATIONS_KEPT = 20
DURATIONS_NEEDED = 3
"""With fewer recent sessions than this, how long one lasts is unknown, and so is a wait."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ledger:
    """What a project has reserved. Kept exact by one conditional write for every change (I1, I4).

    `held_s` holds how long the last sessions of a type kept their place, newest last. `spent` is what ended sessions
    have cost in `month`, `accrued` what those that run had cost in it when last looked at, `authorised` what is held of
    the budget for each of them, and `alerted` which of its percentages somebody was told of.
    """

    by_type: Mapping[str, int] = field(default_factory=dict)
    by_user: Mapping[str, int] = field(default_factory=dict)
    shares: Shares = field(default_factory=Shares)
    held_s: Mapping[str, list[float]] = field(default_factory=dict)
    month: str = ""
    spent: Decimal = Decimal(0)
    accrued: Mapping[str, Decimal] = field(default_factory=dict)
    authorised: Mapping[str, Decimal] = field(default_factory=dict)
    alerted: tuple[int, ...] = ()

    @property
    def reserved(self) -> int:
        return sum(self.by_type.values())

    def committed(self, *, besides: str | None = None) -> Decimal:
        """Return what running sessions take of the budget: what is held for each, or its cost where that is more.

        One that began before there was a budget has cost something while nothing is held for it yet.
        """
        amounts = {
            one: max(self.authorised.get(one, Decimal(0)), self.accrued.get(one, Decimal(0)))
            for one in {*self.authorised, *self.accrued}
            if one != besides
        }
        return sum(amounts.values(), Decimal(0))

    def brought_to(self, now: datetime, line: LineSettings) -> Ledger:
        """Return the ledger as of `now`: shares decayed, and a new month begun with nothing spent.

        Of what is held for a session only what is yet to come is held in a new month: the rest was the old one's.
        """
        month = f"{now:%Y-%m}"
        present = replace(self, shares=self.shares.brought_to(now, timedelta(minutes=line.half_life_minutes)))
        if self.month == month:
            return present
        ahead = {
            one: max(held - self.accrued.get(one, Decimal(0)), Decimal(0)) for one, held in self.authorised.items()
        }
        return replace(present, month=month, spent=Decimal(0), accrued={}, authorised=ahead, alerted=())

    def with_one(self, gpu_type: GpuType, user: UserId, *, penalty: timedelta = timedelta(0)) -> Ledger:
        return self._moved(gpu_type, user, 1, self.shares.admitted(user, gpu_type, penalty))

    def without_one(self, gpu_type: GpuType, user: UserId) -> Ledger:
        return self._moved(gpu_type, user, -1, self.shares.released(user, gpu_type))

    def authorising(self, session: SessionId, amount: Decimal, *, accrued: Decimal = Decimal(0)) -> Ledger:
        """Return the ledger that holds so much of the budget for the session, which has cost `accrued` of it."""
        held = {**self.authorised, session: amount}
        return replace(self, authorised=held, accrued={**self.accrued, session: accrued})

    def accruing(self, costs: Mapping[str, Decimal]) -> Ledger:
        """Return the ledger with what these running sessions have cost this month so far."""
        return replace(self, accrued={**self.accrued, **costs})

    def holding_only(self, sessions: Collection[str]) -> Ledger:
        """Return the ledger with money held for these sessions only."""
        return replace(
            self,
            accrued={one: amount for one, amount in self.accrued.items() if one in sessions},
            authorised={one: amount for one, amount in self.authorised.items() if one in sessions},
        )

    def settled(self, session: SessionId, cost: Decimal) -> Ledger:
        """Return the ledger after the session has ended: what it cost is spent, and nothing is held for it any more."""
        return replace(
            self,
            spent=self.spent + cost,
            accrued={one: amount for one, amount in self.accrued.items() if one != session},
            authorised={one: amount for one, amount in self.authorised.items() if one != session},
        )

    def having_lasted(self, gpu_type: GpuType, held: timedelta) -> Ledger:
        """Return the ledger with one more duration to estimate waits from."""
        known = [*self.held_s.get(gpu_type, []), round(held.total_seconds(), 1)]
        return replace(self, held_s={**self.held_s, gpu_type: known[-DURATIONS_KEPT:]})

    def usual_hold_s(self, gpu_type: GpuType) -> float | None:
        """Return how long a session of this type lately kept its place, in seconds; None where too few are known."""
        known = self.held_s.get(gpu_type, [])
        return sum(known) / len(known) if len(known) >= DURATIONS_NEEDED else None

    def _moved(self, gpu_type: GpuType, user: UserId, step: int, shares: Shares) -> Ledger:
        by_type, by_user = _counted(self.by_type, gpu_type, step), _counted(self.by_user, user, step)
        return replace(self, by_type=by_type, by_user=by_user, shares=shares)


def _counted(counts: Mapping[str, int], key: str, step: int) -> dict[str, int]:
    number = counts.get(key, 0) + step
    if number < 0:
        msg = f"the ledger would count {number} for '{key}': a reservation was released twice"
        raise ValueError(msg)
    present = {**counts, key: number}
    if not number:
        del present[key]
    return present
