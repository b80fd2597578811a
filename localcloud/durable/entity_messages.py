"""Messages between orchestrations and entities, in the vendor's shape."""

from datetime import datetime
from typing import Any

from localcloud.durable.replay import Replay
from localcloud.durable.texts import instant_text, offset_text, ticks, to_json

_NAMESPACE = "Microsoft.Azure.WebJobs.Extensions.DurableTask"
_REQUEST = f"{_NAMESPACE}.RequestMessage, {_NAMESPACE}"
_RESPONSE = f"{_NAMESPACE}.ResponseMessage, {_NAMESPACE}"
_NEVER = "0001-01-01T00:00:00"
_TICKS_A_SECOND = 10_000_000


def scheduler_id(entity_id: str) -> str:
    """The id of an entity on the wire, its name in lower case: "@counter@key"."""
    _, name, key = entity_id.split("@", 2)
    return f"@{name.lower()}@{key}"


class OutgoingRequests:
    """Labels the requests of one orchestration, so that each target can tell their order.

    A second request in the same instant is labelled a tick later; its time then has no zone [golden].
    """

    def __init__(self) -> None:
        self._last: dict[str, tuple[int, str]] = {}

    def message(
        self, *, replay: Replay, target: str, operation: str, input_text: str, request_id: str, is_signal: bool
    ) -> str:
        """The JSON text of a request."""
        stamp, predecessor = self._label(replay, target)
        request: dict[str, Any] = {"$type": _REQUEST, "op": operation}
        if is_signal:
            request["signal"] = True
        request |= {
            "input": input_text,
            "id": request_id,
            "parent": replay.instance_id,
            "parentExecution": replay.execution_id,
            "requestTime": offset_text(instant_text(replay.now)),
            "Timestamp": stamp,
            "Predecessor": predecessor,
        }
        return to_json(request)

    def _label(self, replay: Replay, target: str) -> tuple[str, str]:
        at, stamp = ticks(replay.now), instant_text(replay.now)
        last = self._last.get(target)
        if last is not None and at <= last[0]:
            at = last[0] + 1
            stamp = f"{stamp.split('.', 1)[0]}.{at % _TICKS_A_SECOND:07d}"
        self._last[target] = (at, stamp)
        return stamp, last[1] if last is not None else _NEVER


def response(result: str | None, *, failed: bool) -> str:
    """The JSON text of an entity's answer to a call; `result` is JSON text."""
    answer: dict[str, Any] = {"$type": _RESPONSE, "result": result}
    if failed:
        answer["exceptionType"] = "Error"
    return to_json(answer)


def client_signal(*, operation: str, input_text: str, request_id: str, now: datetime) -> str:
    """The JSON text of a signal from outside."""
    return to_json(
        {
            "$type": _REQUEST,
            "op": operation,
            "signal": True,
            "input": input_text,
            "id": request_id,
            "requestTime": offset_text(instant_text(now)),
            "Timestamp": _NEVER,
            "Predecessor": _NEVER,
        }
    )
