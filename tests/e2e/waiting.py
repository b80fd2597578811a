"""Waiting for something to come true: tests never sleep for a guessed time, and never judge how long it took."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
PATIENCE_S = 90.0
"""Far beyond what anything here takes, so that a busy machine makes tests slow and never red."""
LOOK_AGAIN_S, LOOK_AT_MOST_EVERY_S = 0.05, 0.3
"""A longer wait is looked at less often: looking takes the processor from what is waited for."""


def pause(seconds: float) -> None:
    threading.Event().wait(seconds)


def until(question: Callable[[], T], what: str, *, patience_s: float = PATIENCE_S, every_s: float = LOOK_AGAIN_S) -> T:
    """Ask until the answer is something true and return it; fail saying what was waited for, with the last answer."""
    gives_up_at = time.monotonic() + patience_s
    while not (answer := question()):
        assert time.monotonic() < gives_up_at, f"waited in vain for {what}; the last answer was {answer!r}"
        pause(every_s)
        every_s = min(every_s * 1.3, max(every_s, LOOK_AT_MOST_EVERY_S))
    return answer
