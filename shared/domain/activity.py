"""What counts as use of a session, as its clients report it: bytes in a terminal, a busy GPU, busy processes.

An unknown is never a no: who does not say whether the GPU is busy has not said that it is idle.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from shared.domain.settings import IdleSettings

GPU_BUSY_PERCENT = IdleSettings().gpu_busy_percent


class Signal(StrEnum):
    """What kept a session. `Client`: one connected, or came back after it was waited for."""

    TERMINAL = "Terminal"
    GPU = "Gpu"
    PROCESS = "Process"
    CLIENT = "Client"


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a renewal says. None: not known. `connects`: somebody opens the way into the container."""

    active_seconds_ago: float
    gpu_percent: float | None = None
    busy_processes: int | None = None
    connects: bool = False

    def busy(self, gpu_busy_percent: float) -> tuple[Signal, float] | None:
        """Return what is busy, with its figure (percent, or a count); None where nothing is known to be.

        The GPU is at or above the policy's percent; at 0 percent of its own it is idle under any policy.
        """
        if self.gpu_percent and self.gpu_percent >= gpu_busy_percent:
            return Signal.GPU, self.gpu_percent
        return (Signal.PROCESS, float(self.busy_processes)) if self.busy_processes else None

    def says_quiet(self, signal: Signal) -> bool:
        """Tell whether a report in which nothing is busy knows so of this signal."""
        return (self.gpu_percent if signal is Signal.GPU else self.busy_processes) is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Activity:
    """A shell's last activity: when, by which signal, and the signal's figure.

    `busy_until`: its last report that knows of `busy_signal` said that it was busy; idleness stops nothing before.
    """

    at: datetime
    signal: Signal | None = None
    figure: float | None = None
    busy_until: datetime | None = None
    busy_signal: Signal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """By what a report is judged. `waits`: how long after a busy report a session is kept with no further one."""

    gpu_busy_percent: float
    waits: timedelta


def learned(known: Activity, report: Report, now: datetime, rules: Rules, *, lapsed: bool) -> Activity:
    """Return a shell's activity after a report. `lapsed`: its lease had run out before.

    Who comes back after having been waited for finds the session and has the idle time to use it: that counts once.
    """
    busy = report.busy(rules.gpu_busy_percent)
    if busy is not None:
        return Activity(at=now, signal=busy[0], figure=busy[1], busy_until=now + rules.waits, busy_signal=busy[0])
    waited_for = known.busy_until is not None and lapsed
    if waited_for or (known.busy_signal is not None and report.says_quiet(known.busy_signal)):
        known = replace(known, busy_until=None, busy_signal=None)
    if waited_for or report.connects:
        return replace(known, at=max(known.at, now), signal=Signal.CLIENT, figure=None)
    at = activity_instant(report.active_seconds_ago, now, known.at)
    return known if at == known.at else replace(known, at=at, signal=Signal.TERMINAL, figure=None)


def said_of(signal: Signal | None, figure: float | None) -> str:
    """Return what happened when a session was last active, as the beginning of a sentence."""
    match signal:
        case Signal.GPU:
            return f"the GPU was busy ({figure or 0.0:.0f} %)"
        case Signal.PROCESS:
            count = round(figure or 0.0)
            return "a process was busy" if count == 1 else f"{count} processes were busy"
        case Signal.TERMINAL:
            return "something was typed or printed"
        case Signal.CLIENT:
            return "a client connected"
        case None:
            return "it was last active"


def activity_instant(seconds_ago: float, now: datetime, previous: datetime) -> datetime:
    """Return the last activity after a renewal that reports it: never in the future, never moved backwards."""
    return max(previous, now - timedelta(seconds=max(0.0, seconds_ago)))
