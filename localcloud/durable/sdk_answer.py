"""The SDK's answer to an orchestration trigger, parsed; also where the answer hides in the text of a failure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from localcloud.durable.errors import OrchestrationFailed, orchestrator_failure
from localcloud.durable.net_json import with_utc_times
from localcloud.durable.ports import FunctionFailed
from localcloud.durable.sanitizer import without_credentials
from localcloud.durable.sdk_sites import NOTES
from localcloud.durable.texts import json_or_text, to_json

_OUT_OF_PROC_DATA = "\n\n$OutOfProcData$:"
_STACK = "\nStack:"
_LARGEST_STATUS_BYTES = 16 * 1024

Action = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class SdkAnswer:
    """What the SDK says of one episode; `failure` is set where nothing of it could be used, `notes` in strict mode."""

    is_done: bool = False
    actions: Sequence[Action] = ()
    output: str | None = None
    error: str | None = None
    custom_status: str | None = None
    failure: OrchestrationFailed | None = None
    notes: Mapping[str, Any] = field(default_factory=dict)


def answer_of(name: str, text: str) -> SdkAnswer:
    """The answer of an orchestrator that did not raise."""
    return _parsed(name, text)


def answer_of_failure(name: str, failure: FunctionFailed) -> SdkAnswer:
    """The answer that a raising orchestrator appends to its error, cut out of the sanitized text of the failure.

    The sanitizer may have broken it; then nothing is known of the actions (functions-host.md 1.5).
    """
    text = without_credentials(failure.text)
    start = text.find(_OUT_OF_PROC_DATA)
    if start < 0:
        reason = orchestrator_failure(name, f"One or more errors occurred. ({text})")
        return SdkAnswer(failure=OrchestrationFailed(reason, text))
    end = text.find(_STACK, start)
    state = text[start + len(_OUT_OF_PROC_DATA) : end if end >= 0 else len(text)]
    return _parsed(name, state, looks_for_times=True)


def _parsed(name: str, text: str, *, looks_for_times: bool = False) -> SdkAnswer:
    state = json_or_text(text)
    if not isinstance(state, dict):
        reason = orchestrator_failure(name, "the answer of the SDK is not the JSON object that it should be")
        return SdkAnswer(failure=OrchestrationFailed(reason, text))
    status = state.get("customStatus")
    if looks_for_times:
        status = with_utc_times(status)
    status_text = None if status is None else to_json(status)
    failure = None if status_text is None else _too_large(name, status_text)
    notes = state.get(NOTES) or {}
    if failure is not None and notes:
        notes["traps"].append({"rule": "P13", "told": failure.details or "", "at": notes["statusAt"]})
    return SdkAnswer(
        is_done=bool(state.get("isDone")),
        actions=[action for batch in state.get("actions") or () for action in batch],
        output=None if state.get("output") is None else to_json(state["output"]),
        error=state.get("error") or None,
        custom_status=None if failure else status_text,
        failure=failure,
        notes=notes,
    )


def _too_large(name: str, status: str) -> OrchestrationFailed | None:
    size = len(status.encode("utf-16-le"))
    if size <= _LARGEST_STATUS_BYTES:
        return None
    told = (
        "The UTF-16 size of the JSON-serialized payload must not exceed 16 KB. "
        f"The current payload size is {size // 1024} KB."
    )
    return OrchestrationFailed(orchestrator_failure(name, told), told)
