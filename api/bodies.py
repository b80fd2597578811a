"""The body of a request: its size and depth held, decoded to the type that the operation takes, faults named."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import azure.functions as func
import msgspec

from api.operations import Operation
from shared.domain.errors import ErrorCode, Refused
from shared.domain.pricing import GpuType

LARGEST_BODY = 16 * 1024
DEEPEST_BODY = 10
CLOSED_LISTS: dict[str, type[StrEnum]] = {"gpuType": GpuType}


def body_of(operation: Operation, request: func.HttpRequest) -> Any:
    """Return the body, None where the operation takes none; raise Refused that names what is wrong with it."""
    raw = request.get_body()
    if operation.body is None:
        return None
    if len(raw) > LARGEST_BODY:
        raise Refused(413, ErrorCode.BODY_TOO_LARGE, f"The body may have {LARGEST_BODY} bytes; it has {len(raw)}.")
    if not raw.strip():
        if operation.body_required:
            raise Refused(400, ErrorCode.INVALID_REQUEST, "This operation needs a JSON body.")
        raw = b"{}"
    try:
        if not operation.reads_body:
            return msgspec.json.decode(raw, type=operation.body)
        body = msgspec.json.decode(raw, type=dict)
        if _depth(body) > DEEPEST_BODY:
            raise RecursionError
        return body
    except RecursionError as error:
        message = f"The body is not valid: objects and lists may lie {DEEPEST_BODY} deep in one another."
        raise Refused(400, ErrorCode.INVALID_REQUEST, message) from error
    except msgspec.ValidationError as error:
        text, _, place = str(error).partition(" - at `")
        target = place.rstrip("`").removeprefix("$.") or None
        text += _known_values(target or "")
        where = f" (at {target})" if target else ""
        raise Refused(
            400, ErrorCode.INVALID_REQUEST, f"The body is not valid: {text}{where}.", target=target
        ) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:  # the latter for bytes in a text that are no UTF-8
        raise Refused(400, ErrorCode.INVALID_REQUEST, f"The body is not JSON: {error}.") from error


def _depth(value: Any, so_far: int = 0) -> int:
    """Return how deep objects and lists lie in one another, counted to just above the limit."""
    if not isinstance(value, dict | list) or so_far > DEEPEST_BODY:
        return so_far
    inner = value.values() if isinstance(value, dict) else value
    return max((_depth(one, so_far + 1) for one in inner), default=so_far + 1)


def _known_values(target: str) -> str:
    """Return the values that a field with a closed list of them takes, for the error that names a wrong one."""
    values = CLOSED_LISTS.get(target.rpartition(".")[2])
    return f"; it may be {' or '.join(values)}" if values else ""
