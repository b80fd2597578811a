"""Has the SDK tell, beside its answer, at which line of the app each step was made: strict mode names the line.

The SDK's actions are Python objects that outlive the episode; each is marked when it is made, and its JSON carries the
mark as one field more, which no host but this engine's strict mode looks at. What leaves no action behind (a timer
without a zone, an empty custom status, a wait that is only made) is noted by thread, since an episode runs in one.
"""

import functools
import importlib
import os
import sys
import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from traceback import walk_tb
from types import FrameType
from typing import Any

MADE_AT = "madeAt"
NOTES = "strictNotes"
_LONGEST_TIMER = timedelta(days=6)
_SDK = os.path.join("azure", "durable_functions") + os.sep
_ACTIONS = "azure.durable_functions.models.actions"
_MODULES = (
    "CallActivityAction", "CallActivityWithRetryAction", "CallSubOrchestratorAction",
    "CallSubOrchestratorWithRetryAction", "CallHttpAction", "CallEntityAction", "SignalEntityAction",
    "WaitForExternalEventAction", "CreateTimerAction", "ContinueAsNewAction",
)  # fmt: skip
_installed = threading.Event()


class _Notes(threading.local):
    """What the present episode of this thread did that its actions do not show."""

    def __init__(self) -> None:
        self.traps: list[dict[str, str]] = []
        self.waits: list[str] = []
        self.status_at = ""


_notes = _Notes()


def install() -> bool:
    """Put the marks into the SDK, once; false where there is no SDK of the known shape."""
    if _installed.is_set():
        return True
    try:
        kinds = [getattr(importlib.import_module(f"{_ACTIONS}.{name}"), name) for name in _MODULES]
        models = "azure.durable_functions.models"
        context: Any = importlib.import_module(f"{models}.DurableOrchestrationContext").DurableOrchestrationContext
        executor: Any = importlib.import_module(f"{models}.TaskOrchestrationExecutor").TaskOrchestrationExecutor
        state: Any = importlib.import_module(f"{models}.OrchestratorState").OrchestratorState
    except (ImportError, AttributeError):
        return False
    for kind in kinds:
        _mark(kind)
    context.create_timer = _noting(context.create_timer, _note_timer)
    context.set_custom_status = _noting(context.set_custom_status, _note_status)
    context.wait_for_external_event = _noting(context.wait_for_external_event, _note_wait)
    executor.execute = _noting(executor.execute, _forget)
    state.to_json = _telling(state.to_json)
    _installed.set()
    return True


def _mark(kind: Any) -> None:
    make, tell = kind.__init__, kind.to_json

    @functools.wraps(make)
    def marked(self: Any, *args: Any, **named: Any) -> None:
        self._made_at = site()
        make(self, *args, **named)

    @functools.wraps(tell)
    def told(self: Any) -> dict[str, Any]:
        return {**tell(self), MADE_AT: self._made_at}

    kind.__init__, kind.to_json = marked, told


def _noting(call: Callable[..., Any], note: Callable[..., None]) -> Callable[..., Any]:
    @functools.wraps(call)
    def noted(self: Any, *args: Any, **named: Any) -> Any:
        note(self, *args, **named)
        return call(self, *args, **named)

    return noted


def _telling(tell: Callable[[Any], dict[str, Any]]) -> Callable[[Any], dict[str, Any]]:
    @functools.wraps(tell)
    def told(self: Any) -> dict[str, Any]:
        notes = {"traps": list(_notes.traps), "waits": list(_notes.waits), "statusAt": _notes.status_at}
        return {**tell(self), NOTES: notes}

    return told


def _forget(*_args: Any, **_named: Any) -> None:
    _notes.traps, _notes.waits, _notes.status_at = [], [], ""


def _note_timer(context: Any, fire_at: datetime) -> None:
    told = None
    if fire_at.tzinfo is None:
        told = ("P11", "the timer's time has no zone")
    elif fire_at.utcoffset() != timedelta(0):
        told = ("P11", f"the timer's time is at UTC{fire_at:%z}, and would be taken for UTC as it stands")
    elif fire_at - context.current_utc_datetime > _LONGEST_TIMER:
        told = ("P4", f"the timer runs for {(fire_at - context.current_utc_datetime).days} days")
    if told is not None:
        _notes.traps.append({"rule": told[0], "told": told[1], "at": site()})


def _note_status(_context: Any, status: Any) -> None:
    _notes.status_at = site()
    if status is not None and not status:
        _notes.traps.append(
            {"rule": "P13", "told": f"the custom status {status!r} would be shown as null", "at": site()}
        )


def _note_wait(_context: Any, name: str, *_args: Any, **_named: Any) -> None:
    _notes.waits.append(name)


def raised_at(error: BaseException) -> str:
    """The line that raised the first error of a chain; empty where that is not known."""
    while error.__cause__ is not None:
        error = error.__cause__
    steps = [step for step in walk_tb(error.__traceback__) if _SDK not in step[0].f_code.co_filename]
    return _told(*steps[-1]) if steps else ""


def site() -> str:
    """The line of the app that is being run, as "FILE:LINE in FUNCTION"; empty where there is none."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        file = frame.f_code.co_filename
        if file != __file__ and _SDK not in file:
            return _told(frame, frame.f_lineno)
        frame = frame.f_back
    return ""


def _told(frame: FrameType, line: int) -> str:
    return f"{_from_here(frame.f_code.co_filename)}:{line} in {frame.f_code.co_qualname}"


@functools.cache
def _from_here(file: str) -> str:
    return os.path.relpath(file)
