"""The last line: how long, on what, for how much, and how it ended."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from devboxgpu.wire import Money, Shell
from devboxgpu.wording import cost_of, duration, money, printable


def end_line(shell: Shell, closed: Shell | None, *, attached_s: float, exit_code: int, reason: str) -> str:
    """One line about an attached shell. What the service said when it was closed is preferred to our own count."""
    if closed is not None and closed.session_goes_on:
        return _line(["shell closed", _going_on(closed), reason, f"exit {exit_code}"])
    latest = closed or replace(shell, duration_s=None, cost=None)  # those are of when it was opened
    lasted_s = latest.duration_s if latest.duration_s is not None else attached_s
    cost = _cost(latest, latest.price_an_hour or shell.price_an_hour, lasted_s)
    session = latest.session or shell.session or latest.id
    parts = [
        f"session {session} ended",
        duration(lasted_s),
        latest.gpu_type or shell.gpu_type,
        f"est. {money(cost)}" if cost is not None else "cost unknown",
        reason,
        f"exit {exit_code}",
    ]
    return _line(parts)


def cost_text(shell: Shell) -> str:
    """What it cost so far; empty where that is not known."""
    cost = _cost(shell, shell.price_an_hour, shell.duration_s)
    return f"est. {money(cost)}" if cost is not None else ""


def _cost(shell: Shell, price: Money | None, lasted_s: float | None) -> Money | None:
    return shell.cost or (cost_of(price, lasted_s) if price is not None and lasted_s is not None else None)


def _going_on(closed: Shell) -> str:
    shells = "1 more shell" if closed.open_shells == 1 else f"{closed.open_shells} more shells"
    return f"session {closed.session or closed.id} goes on with {shells}"


def _line(parts: Sequence[str | None]) -> str:
    return printable("devboxgpu: " + " · ".join(part for part in parts if part))
