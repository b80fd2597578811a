"""Fair share: whose turn it is among those that wait, by what each has lately used.

The rule is Kueue's Admission Fair Sharing (kubernetes-sigs/kueue, docs/concepts/admission_fair_sharing.md): order by
decayed historical use, and an entry penalty at every admission, so that a burst of requests cannot win before its use
shows. Kueue samples use; here it is exact, since what a user holds changes only in the ledger's transactions.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from shared.domain.names import UserId
from shared.domain.pricing import GpuType

WEIGHT: dict[GpuType, float] = {GpuType.T4: 1.0, GpuType.A100: 4.0}
"""What a second on a GPU counts: about its list price in seconds of a T4 (6.35 to 1.56 USD an hour: azure.md 7.3)."""
MOST_REMEMBERED = 250
"""Users whose use is remembered: those who hold GPUs and the heaviest of the others; the rest count as having none."""
FORGOTTEN_BELOW_S = 1.0


@dataclass(frozen=True, slots=True)
class Share:
    """One user's use: weighted GPU-seconds so far, decayed, and the weight of the GPUs held now."""

    used_s: float = 0.0
    rate: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Shares:
    """Everybody's use as of one instant. `half_life`: the time in which what was used counts half."""

    at: datetime | None = None
    by_user: Mapping[str, Share] = field(default_factory=dict)

    def of(self, user: UserId) -> Share:
        return self.by_user.get(user, Share())

    def brought_to(self, now: datetime, half_life: timedelta) -> Shares:
        """Return the shares as of `now`: what was used has decayed, what is held has been added, exactly."""
        if self.at is None or now <= self.at:
            return replace(self, at=self.at or now)
        decay = math.log(2) / half_life.total_seconds()
        kept = math.exp(-decay * (now - self.at).total_seconds())
        present = {
            user: Share(share.used_s * kept + share.rate * (1 - kept) / decay, share.rate)
            for user, share in self.by_user.items()
        }
        return Shares(at=now, by_user=_worth_remembering(present))

    def admitted(self, user: UserId, gpu_type: GpuType, penalty: timedelta) -> Shares:
        """Return the shares after the user was given a GPU: it counts from now on, and the entry penalty at once.

        The penalty is the same for every type: so it is known of who waits before it is known which type comes.
        """
        weight, share = WEIGHT[gpu_type], self.of(user)
        return self._with(user, Share(share.used_s + penalty.total_seconds(), share.rate + weight))

    def released(self, user: UserId, gpu_type: GpuType) -> Shares:
        """Return the shares after the user gave a GPU back."""
        share = self.of(user)
        return self._with(user, Share(share.used_s, max(0.0, share.rate - WEIGHT[gpu_type])))

    def _with(self, user: UserId, share: Share) -> Shares:
        return Shares(at=self.at, by_user={**self.by_user, user: share})


def _worth_remembering(present: dict[str, Share]) -> dict[str, Share]:
    kept = {user: share for user, share in present.items() if share.rate or share.used_s >= FORGOTTEN_BELOW_S}
    if len(kept) <= MOST_REMEMBERED:
        return kept
    heaviest = sorted(kept, key=lambda user: (kept[user].rate, kept[user].used_s), reverse=True)[:MOST_REMEMBERED]
    return {user: kept[user] for user in heaviest}
