"""The fuzzer's own check of answers, and where it aims: schemathesis loads this module."""

from __future__ import annotations

from typing import Any
from zlib import crc32

import schemathesis

KNOWN = {"project": "demo", "user": "me", "shell": "shell-one"}


@schemathesis.check
def only_named_statuses(ctx: Any, response: Any, case: Any) -> None:
    """An answer's status is one that the operation names: `default` stands for failures only, and none is wanted."""
    if case.method.upper() != case.operation.method.upper():
        return  # a method that the address does not have: the host answers, and no operation
    named = set(case.operation.definition.raw["responses"]) - {"default"}
    assert str(response.status_code) in named, f"{case.operation.label} answered {response.status_code}, not {named}"


@schemathesis.hook
def map_path_parameters(context: Any, path_parameters: dict[str, Any]) -> dict[str, Any]:
    """Send three of four requests to what is there: by chance alone nearly all would end at a 404."""
    if not path_parameters or crc32(repr(path_parameters).encode()) % 4 == 0:
        return path_parameters
    return path_parameters | {part: known for part, known in KNOWN.items() if part in path_parameters}
