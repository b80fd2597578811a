"""When a failed delivery is tried again, and when it is given up: the rules of `reference/azure.md` section 5.3.

Real waits run from ten seconds to half a day; here every wait is multiplied by a scale, so that the same order of
events fits into a minute.
"""

from __future__ import annotations

from dataclasses import dataclass

LOCAL_SCALE = 0.01
HOUR_S = 3600
STEPS_S = (10, 30, 60, 300, 600, 1800, HOUR_S, 3 * HOUR_S, 6 * HOUR_S, 12 * HOUR_S)
LEAST_WAITS_S = {401: 300, 403: 300, 404: 300, 408: 120, 503: 30}
SUCCESSES = frozenset({200, 201, 202, 203, 204})
NEVER_AGAIN = frozenset({400, 401, 413})


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrySchedule:
    """How long to wait between attempts, in real seconds times `scale`."""

    scale: float = LOCAL_SCALE

    def wait_s(self, *, failures: int, status: int | None) -> float:
        """Return the seconds to wait after this many failures; `status` None means that nobody answered."""
        step = STEPS_S[min(failures, len(STEPS_S)) - 1]
        return max(step, LEAST_WAITS_S.get(status or 0, 0)) * self.scale

    def time_to_live_s(self, minutes: int) -> float:
        return minutes * 60 * self.scale


def is_delivered(status: int | None) -> bool:
    return status in SUCCESSES


def is_hopeless(status: int | None) -> bool:
    """Tell whether a webhook's answer ends the delivery at once."""
    return status in NEVER_AGAIN
